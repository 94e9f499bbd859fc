"""From raw records to a summary: pure, so that a stored result can be derived again."""
