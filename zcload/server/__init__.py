"""Real servers under test: document root, supervisor, process tree, HTTP receivers, and their lane."""
