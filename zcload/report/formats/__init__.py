"""Report formats, one file each. zcload/report/__init__.py registers them."""
