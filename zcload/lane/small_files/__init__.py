"""Lanes of small files: which files, when, over which connections, and how long each takes."""
