"""Questionnaires and the answers to them. https://hl7.org/fhir/R4/questionnaire.html"""
