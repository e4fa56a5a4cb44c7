"""Puts parts together into what a command runs: venues, an engine, a screen, and their end."""
