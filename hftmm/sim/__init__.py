"""Practice venues: a seeded market behind the real wire protocols of the venues."""
