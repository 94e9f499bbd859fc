"""A study: points, generations, blocks and windows, and the rule that ends it. Measures, and never prints."""
