"""Results against results: what changed, whether it is proven, and whether a gate trips. The method is in docs/comparing.md."""
