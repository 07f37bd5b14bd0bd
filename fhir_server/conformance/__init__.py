"""The definitions that drive the engine: structures, search parameters, compartments, value sets."""
