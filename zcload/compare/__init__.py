"""Compare stored results: what changed, whether it is proven, and whether a gate trips (docs/comparing.md)."""
