"""The only place where SQL runs."""
