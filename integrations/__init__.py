"""Connectors to other systems, a folder each. They know their socket in `features` and little else of the server."""
