"""Code systems from their publishers' files: one importer a format, and the import that stores what it reads."""
