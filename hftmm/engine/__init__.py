"""Routes values between sessions, books and strategies; no arithmetic of its own."""
