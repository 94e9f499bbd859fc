"""zcload measures what zero-copy saves: CPU and throughput of every way Linux has to move a file into a socket."""

__version__ = "0.1.0"
