"""The tables of a report, as headers and rows of text."""
