"""Keep Python's garbage collector out of windows, off the objects that workers inherit, and out of what makes millions of objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Collect garbage, freeze the objects that exist, and collect nothing within the block."""
    gc.collect()
    gc.freeze()
    try:
        with no_collection():
            yield
    finally:
        gc.unfreeze()


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect nothing within the block: where millions of objects are made and kept, each collection looks at all of them in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
