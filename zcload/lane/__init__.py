"""A lane: one variant set up and running at one point, its receiver process(es) and sender processes, connected and gated."""
