"""What a clinic does all day, each in its own folder; they meet in FHIR resources and the change feed."""
