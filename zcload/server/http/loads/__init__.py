"""Loads over HTTP: what receivers request, and when."""
