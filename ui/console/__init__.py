"""A console for the records as they are: any type, any version, search, validation, writing."""
