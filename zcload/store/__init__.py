"""The result directory: written while measuring, readable even if its last line is torn."""
