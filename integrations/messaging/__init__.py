"""Who carries messages to people."""
