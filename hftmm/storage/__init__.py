"""Captures of what was received, and their replay."""
