"""The contract between an engine and whoever watches it."""
