"""Packages of definitions in npm's form: reading, keeping, resolving and building them. https://hl7.org/fhir/packages"""
