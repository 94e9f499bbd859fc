"""zcload measures what zero-copy saves: CPU and throughput of every way Linux has to move a file into a socket."""

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "load", "run"]


def __getattr__(name: str) -> object:
    """Import the API when one of its names is used: `import zcload` alone costs next to nothing. Types are in __init__.pyi."""
    if name not in __all__:
        raise AttributeError(f"module 'zcload' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("zcload.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
