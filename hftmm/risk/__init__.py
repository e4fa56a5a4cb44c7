"""What may be sent, what is held and what it made: limits, approvals and the portfolio."""
