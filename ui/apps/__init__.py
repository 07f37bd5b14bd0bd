"""SMART apps: which there are, opening them, and the one that comes along (`growth/`)."""
