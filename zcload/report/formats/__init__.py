"""The output formats: one file each, one line in zcload/report/__init__.py."""
