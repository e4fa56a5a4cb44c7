"""What the screen is made of: widgets that draw lines from a picture."""
