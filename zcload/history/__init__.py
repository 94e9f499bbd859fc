"""The results of a directory tree: what there is, and how a figure went from one to the next."""
