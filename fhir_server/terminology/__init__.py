"""Terminology answers over the code systems and value sets of the registry."""
