"""Booking online: find a time, hold it, say who comes, prove it by a code; with and without an account."""
