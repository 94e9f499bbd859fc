"""What the options of `zcload run` and `crossover` choose beside the study itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zcload.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoices:
    """How a study is run, and what of it is printed and judged."""

    out: Path | None = None
    seed: int | None = None
    strict: bool = False
    check_windows: bool = False
    host_name: bool = False
    resume: bool = False
    wait: bool = True
    plan_only: bool = False
    json: bool = False
    json_stream: bool = False
    progress: bool = True
    page: bool = True
    full: bool = False
    gates: Sequence[str] = ()
    fail_if_unproven: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigError for options that exclude each other."""
        if self.json_stream and self.json:
            raise ConfigError(
                Problem("cannot be combined with --json", key="--json-stream", remedy="leave out --json: the stream has the summary")
            )
