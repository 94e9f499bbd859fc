"""What ends a measurement early, in order: an error of zcload's, or a limit of this process or machine that was reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zcload.errors import StudyError, ZcloadError
from zcload.host.process_limits import out_of_resource


@dataclass(slots=True)
class Ending:
    """The *error* that has ended a block early; None if none has."""

    error: ZcloadError | None = None


@contextmanager
def ending() -> Iterator[Ending]:
    """Keep what ends the block early, and go on behind it: what was measured is to be stored. Every other exception is raised."""
    found = Ending()
    try:
        yield found
    except ZcloadError as error:
        found.error = error
    except (OSError, MemoryError) as error:
        if (what := out_of_resource(error)) is None:
            raise
        found.error = StudyError(what)
