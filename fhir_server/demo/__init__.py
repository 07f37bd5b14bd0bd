"""Invented records for the demo tenant and for benchmarks."""
