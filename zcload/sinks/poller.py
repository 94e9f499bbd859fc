"""What waits for several connections of a sink: epoll for most."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol


class Poller(Protocol):
    """The part of select.epoll that receivers use."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Wait for *fd* too."""

    def unregister(self, fd: int, /) -> None:
        """Wait for *fd* no more."""

    def poll(self) -> list[tuple[int, int]]:
        """Wait until connections can be received from without a wait, or have ended; return (descriptor, events) of each."""

    def close(self) -> None:
        """Release what waiting takes."""

    def __enter__(self) -> Poller: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None: ...
