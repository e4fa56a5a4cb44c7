"""What to do about a market: pure functions of books and positions."""
