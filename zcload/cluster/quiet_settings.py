"""The settings of a quiet Dask process: what zcload ships, and how what a process really has differs from it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("quiet.yaml")
PRELOAD = "zcload.cluster.quiet"
HEARTBEAT_S = 15.0  # between a worker and its scheduler; Dask's own is 0.5 s for up to 10 workers and cannot be set
OF_A_SCHEDULER, OF_A_WORKER = ("scheduler", "admin"), ("worker", "admin")


@functools.cache
def quiet_settings() -> dict[str, Any]:
    """Return the settings that are shipped, as `dask.config.set` takes them: {"distributed.worker.profile.enabled": False, ...}."""
    from ruamel.yaml import YAML

    return {".".join(path): value for path, value in _leaves(YAML(typ="safe").load(FILE))}


def differences(found: Mapping[str, Any], parts: tuple[str, ...]) -> list[str]:
    """Return where in the *parts* ("worker", "admin") of its settings a process is not quiet: "worker.profile.enabled is True, not False"

    *found* is what `dask.config.get("distributed")` gives there.
    """
    lines = []
    for key, wanted in quiet_settings().items():
        path = key.split(".")[1:]
        if path[0] in parts and _at(found, path) != wanted:
            lines.append(f"{'.'.join(path)} is {_at(found, path)}, not {wanted}")
    return lines


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _at(tree: Any, path: Sequence[str]) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree
