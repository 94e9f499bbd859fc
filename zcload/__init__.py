"""zcload measures what zero-copy saves: CPU and throughput of every way Linux has to move a file into a socket."""

__version__ = "0.1.0"
__all__ = ["Result", "__version__", "load", "run"]
# Modules that the first release documented under these names; `zcload.interrupt.Interrupted` still works after `import zcload`.
_MOVED = {"interrupt": "zcload.linux.interrupt", "packed": "zcload.model.packed", "progress": "zcload.model.progress"}


def __getattr__(name: str) -> object:
    """Import the API when one of its names is used: `import zcload` alone costs next to nothing. Types are in __init__.pyi."""
    from importlib import import_module

    if name in _MOVED:
        return import_module(_MOVED[name])
    if name not in __all__:
        raise AttributeError(f"module 'zcload' has no attribute {name!r}")
    return getattr(import_module("zcload.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
