"""Starts, watches and stops what the server consists of: embedded PostgreSQL and Valkey, web, worker and hub."""
