"""A clinic's day, played from the outside: a client of the public API like any other, which knows no more than that."""
