"""Real servers under test: the document root, the supervisor, and the lane whose senders are a server."""
