"""What Linux offers and the standard library lacks: each constant with its source."""
