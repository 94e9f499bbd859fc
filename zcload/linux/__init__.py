"""Bindings to Linux that the standard library lacks. Each constant has its source beside it."""
