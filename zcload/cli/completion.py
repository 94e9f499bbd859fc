"""What the shell completes: names of studies, mechanisms, formats and metrics. Each is looked up only when it is asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable


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

    return _those((EVERY_ADDRESS, "127.0.0.1", ":10000"), incomplete)


def swept(incomplete: str) -> list[str]:
    """Return the keys that a search can sweep and that begin so."""
    from typing import get_args

    from zcload.model.records.values import SweptKey

    return _those(get_args(SweptKey), incomplete)


def sections(incomplete: str) -> list[str]:
    """Return the parts of every full report that begin so."""
    return _those(("answer", "costs", "savings", "breakdown", "cautions", "missing", "method"), incomplete)


def formats(incomplete: str) -> list[str]:
    """Return the formats of `zcload report` that begin so."""
    from zcload.cli.output_files import PICTURES
    from zcload.report import FORMATS

    return _those((*FORMATS, *PICTURES), incomplete)


def compare_formats(incomplete: str) -> list[str]:
    """Return the formats of `zcload compare` that begin so."""
    from zcload.compare.render import FORMATS

    return _those(FORMATS, incomplete)


def history_formats(incomplete: str) -> list[str]:
    """Return the formats of `zcload history` that begin so."""
    from zcload.cli.history import FORMATS

    return _those(FORMATS, incomplete)


def history_orders(incomplete: str) -> list[str]:
    """Return what `zcload history` groups by and begins so."""
    from zcload.cli.history import WAYS

    return _those(WAYS, incomplete)


def charts(incomplete: str) -> list[str]:
    """Return the charts that begin so; of several points or results each has a number that is not offered."""
    one_point = ("cpu-per-gb", "savings", "savings-best-chunk", "curve", "latency", "timeline", "windows")
    return _those((*one_point, "sweep-cpu-per-gb", "sweep-savings", "crossing"), incomplete)


def metrics(incomplete: str) -> list[str]:
    """Return the metrics that begin so."""
    from zcload.model.metrics import METRICS

    return _those(METRICS, incomplete)


def gates(incomplete: str) -> list[str]:
    """Return the gates that begin so, up to their metric; after "VARIANT:" the metric is completed."""
    before, colon, metric = incomplete.rpartition(":")
    blank = metric[: len(metric) - len(metric.lstrip())]
    return [f"{before}{colon}{blank}{name}" for name in metrics(metric.lstrip())]


def allowed(incomplete: str) -> list[str]:
    """Return what `zcload compare --allow` takes and begins so: facts of a host, and settings as a config writes them."""
    from zcload.compare.differences import REFUSED, WHOLE
    from zcload.config.root import KEYS

    return _those(("baseline", *REFUSED, *WHOLE, *KEYS["workload",]), incomplete)


def settings(incomplete: str) -> list[str]:
    """Return the keys of a config that begin so, each with the "=" that its value follows."""
    from zcload.config.root import KEYS

    names = [".".join(map(str, (*section, key))) for section, keys in KEYS.items() if section and section != ("variant",) for key in keys]
    return _those([f"{name}=" for name in names], incomplete)


def _those(names: Iterable[str], incomplete: str) -> list[str]:
    """Return those of *names* that begin with what is typed."""
    return [name for name in names if name.startswith(incomplete)]
