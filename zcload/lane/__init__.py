"""A lane: one variant set up and running at one point, with its sender and receiver processes."""
