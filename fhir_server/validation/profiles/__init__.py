"""A profile's snapshot compiled to closures that check what it says beyond R4's base."""
