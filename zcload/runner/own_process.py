"""Run a whole study in a process of its own: for a program with threads, whose locks a forked worker would inherit locked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zcload.errors import MechanismUnavailableError, ZcloadError
from zcload.linux import interrupt
from zcload.model.progress import Viewer, nobody
from zcload.model.study import Study
from zcload.runner import limits
from zcload.runner.fresh_process import conversation, converse, sendable, viewer_of
from zcload.runner.run import Outcome, run

_END_S = 120.0  # after a signal: the lanes are taken down, what was measured is evaluated and stored


@dataclass(frozen=True, slots=True)
class Order:
    """The study to run, the directory for its result, and the other arguments of `zcload.runner.run.run`."""

    study: Study
    directory: Path | None
    others: Mapping[str, Any]


def run_in_own_process(study: Study, directory: Path | None, *, view: Viewer = nobody, **others: Any) -> Outcome:
    """Do what `zcload.runner.run.run` does, in a fresh process; raises the same errors."""
    limit_s = limits.run_s(study, others.get("check_windows", False))
    order = Order(study, directory, others)
    outcome = converse("the run", "own_process", order, view, limit_s=limit_s, end_s=_END_S)
    if isinstance(outcome, ZcloadError):
        raise outcome
    assert isinstance(outcome, Outcome)
    return outcome


def main(control: int, starter: int) -> None:
    """Run the process: read the order from the inherited socket *control*, send the outcome or the error that was raised."""
    with interrupt.graceful():
        connection, order = conversation(control, starter)
        try:
            outcome = run(order.study, order.directory, view=viewer_of(connection), **order.others)
        except ZcloadError as error:
            # Before anything is measured: each kind that is raised then can be pickled.
            connection.send(error if isinstance(error, MechanismUnavailableError) else sendable(error))
            return
        connection.send(replace(outcome, error=sendable(outcome.error)))
