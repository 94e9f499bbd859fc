"""The Python API: run a study, load a stored result (docs/python-api.md). The command line uses it too."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zcload.errors import ConfigError, Problem, path_errors
from zcload.linux import interrupt
from zcload.model.progress import Viewer, nobody
from zcload.model.units import LIMIT, shown
from zcload.store.reader import SUMMARY, WINDOWS, Result, read_header

if TYPE_CHECKING:
    from zcload.model.study import Study

__all__ = ["Result", "load", "run", "study_of"]

TASKS = "/proc/self/task"


def load(path: str | os.PathLike[str]) -> Result:
    """Load a stored result: its directory, its summary.json or its windows.jsonl; raises ConfigError."""
    with path_errors():
        return Result.load(path)


def study_of(config: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()) -> Study:
    """Check a config: a file, the name of a shipped one, TOML text, a tree of sections, or a stored result, whose config it then is.

    A text is what has a line end in it. *overrides* are as --set takes them, "workload.chunk=64KiB". Raises ConfigError.
    """
    from zcload import config as configs
    from zcload.config.shipped import find_shipped

    if isinstance(config, Mapping):
        return configs.from_tree(config, None, overrides)
    if isinstance(config, str) and "\n" in config:
        return configs.loads(config, "toml", None, overrides)
    path = Path(config).expanduser()
    with path_errors():
        if not path.exists():
            path = find_shipped(os.fspath(config)) or path
    stored = path / WINDOWS if path.is_dir() else path if path.name == WINDOWS else path.parent / WINDOWS if path.name == SUMMARY else None
    if stored is None:
        return configs.load(path, overrides)
    if not stored.exists():
        raise ConfigError(Problem(f"is a directory without a {WINDOWS}: neither a config nor a result", file=str(config)))
    return configs.from_tree(read_header(stored)["config"], str(stored), overrides)


def run(
    config: str | os.PathLike[str] | Mapping[str, Any] | Study,
    *,
    overrides: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    strict: bool = False,
    check_windows: bool = False,
    host_name: bool = False,
    view: Viewer = nobody,
    resume: bool = False,
    wait: bool = False,
) -> Result:
    """Run a study as `zcload run` does, print nothing, and return its result, which is stored in *out* (default results/...).

    *config* is what `study_of` takes, or a Study. *view* is handed a Progress now and then, never while a window is open.

    With *resume*, *out* is the directory of an interrupted run of the same study, which is resumed there.

    It measures in fresh processes, so this one may have threads, and call it from any of them.

    Raises ConfigError and MechanismUnavailableError before anything is measured; StudyError, or Interrupted after a SIGINT or
    SIGTERM, when the run ends early: what was measured until then is stored, and is the error's *result*. A lane that fails while
    others go on raises nothing: see `Result.failed`.
    """
    from zcload.model.study import Study
    from zcload.runner.own_process import run_in_own_process
    from zcload.runner.run import run as run_here

    study = config if isinstance(config, Study) else study_of(config, overrides)
    if seed is not None and not 0 <= seed < LIMIT:
        raise ConfigError(Problem(f"{shown(seed)} is out of range: expected 0 to {LIMIT - 1}", key="seed"))
    run_study = run_in_own_process if study.stop.replicates == 1 and _has_threads() else run_here
    with interrupt.lent():
        outcome = run_study(
            study,
            None if out is None else Path(out),
            seed=seed,
            strict=strict,
            check_windows=check_windows,
            host_name=host_name,
            view=view,
            resume=resume,
            wait=wait,
        )
    if outcome.error is not None:
        outcome.error.result = outcome.result
        raise outcome.error
    return outcome.result


def _has_threads() -> bool:
    """Say whether this process has more than one thread, a library's included: a lock that one holds stays locked in a forked worker."""
    try:
        return len(os.listdir(TASKS)) > 1
    except OSError:
        return threading.active_count() > 1
