"""The desk, and the dialogs over it."""
