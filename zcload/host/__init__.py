"""Observe the host and its processes from outside: clocks, counters, environment, checks."""
