"""Derive a summary from raw records. Pure functions: a stored result can be evaluated again."""
