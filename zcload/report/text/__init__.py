"""The sentences and figures of a report, as text."""
