"""What the shell completes: names of studies, mechanisms, formats and metrics. Each is looked up only when it is asked for."""

from __future__ import annotations

from collections.abc import Collection


def studies(incomplete: str) -> list[str]:
    """Return what `zcload run` may begin with: configs and results below the path typed so far, shipped configs, mechanisms."""
    from zcload.config.source import SUFFIXES

    return _paths(incomplete, SUFFIXES) + configs(incomplete) + mechanisms(incomplete)


def results(incomplete: str) -> list[str]:
    """Return the results below the path typed so far, and the directories and files that may hold or be one."""
    return _paths(incomplete, (".json", ".jsonl"))


def directories(incomplete: str) -> list[str]:
    """Return the directories below the path typed so far."""
    return [path for path in _paths(incomplete, ()) if path.endswith("/")]


def _paths(incomplete: str, suffixes: Collection[str]) -> list[str]:
    """Return what begins so: results, other directories with a slash at the end, and files with one of *suffixes*."""
    from glob import escape, glob
    from pathlib import Path

    from zcload.store.reader import SUMMARY, WINDOWS

    found = []
    for path in sorted(map(Path, glob(f"{escape(incomplete)}*"))):
        if path.is_dir():
            found.append(str(path) if any((path / name).exists() for name in (WINDOWS, SUMMARY)) else f"{path}/")
        elif path.suffix in suffixes:
            found.append(str(path))
    return found


def configs(incomplete: str) -> list[str]:
    """Return the shipped configs that begin so, by their name or its last part."""
    from zcload.config.shipped import shipped_configs

    return [name for name in shipped_configs() if name.startswith(incomplete) or name.rpartition("/")[2].startswith(incomplete)]


def mechanisms(incomplete: str) -> list[str]:
    """Return the mechanisms that begin so; after a comma, as in `--via A,B`, the last of them is completed."""
    from zcload.config.registries import mechanism_names

    done, comma, last = incomplete.rpartition(",")
    return [f"{done}{comma}{name}" for name in mechanism_names() if name.startswith(last)]


def listening(incomplete: str) -> list[str]:
    """Return the addresses to listen at that begin so."""
    from zcload.oneshot.address import EVERY_ADDRESS

    return [address for address in (EVERY_ADDRESS, "127.0.0.1", ":10000") if address.startswith(incomplete)]


def swept(incomplete: str) -> list[str]:
    """Return the keys that a search can sweep and that begin so."""
    return [key for key in ("chunk", "file_size", "transfer_size", "senders", "rate") if key.startswith(incomplete)]


def sections(incomplete: str) -> list[str]:
    """Return the parts of every full report that begin so."""
    return [name for name in ("answer", "costs", "savings", "breakdown", "cautions", "missing", "method") if name.startswith(incomplete)]


def formats(incomplete: str) -> list[str]:
    """Return the formats of `zcload report` that begin so."""
    from zcload.cli.output_files import PICTURES
    from zcload.report import FORMATS

    return [name for name in (*FORMATS, *PICTURES) if name.startswith(incomplete)]


def metrics(incomplete: str) -> list[str]:
    """Return the metrics that begin so."""
    from zcload.model.metrics import METRICS

    return [name for name in METRICS if name.startswith(incomplete)]
