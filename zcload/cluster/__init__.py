"""More than one host: agents on them, the coordinator's control channel, and windows that all of them open and close together."""
