"""What the clinic's data is checked and coded by: packages, profiles, code systems, and what waits for review."""
