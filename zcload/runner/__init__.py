"""Run a study: points, generations, blocks and windows, and the stopping rule. Measures, and never prints."""
