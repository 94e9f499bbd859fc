"""SIGINT and SIGTERM: the first ends the measurement and keeps the result, the second exits at once.

The handlers only take a note; everything that waits, waits in `pause` or `wait`, which a signal ends at once. So no code is ever torn
up in the middle, and nothing is left half made. Imports nothing heavy: it is installed before anything else is imported.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from zcload.errors import Interrupted as Interrupted
from zcload.errors import TimeLimitExceeded
from zcload.linux.patience import Patience

requested: int | None = None  # the signal that asked for the end, if one has
_graceful = False
_reader = _writer = -1
_limits: list[limited] = []  # the outermost first
_LONGEST_STEP_S = 5.0  # between two calls of `check`: no phase works for longer without one


def install() -> None:
    """Catch SIGINT and SIGTERM: until `graceful` is entered they end the process at once, silently, with the right code."""
    global _reader, _writer
    if _reader < 0:
        _reader, _writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(_writer, warn_on_full_buffer=False)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _note)


def _note(signum: int, frame: FrameType | None) -> None:
    global requested
    if not _graceful or requested is not None:
        # Nothing to save yet, or asked twice. Workers die with this process (PR_SET_PDEATHSIG), memory files with them.
        os._exit(128 + signum)
    requested = signum


class graceful:
    """Within the block the first signal is only noted (`requested`, `pause`, `check`)."""

    def __enter__(self) -> None:
        global _graceful
        self._before, _graceful = _graceful, True

    def __exit__(self, *exc: object) -> None:
        global _graceful
        _graceful = self._before


def _in_main_thread() -> bool:
    """Say whether Python lets this thread set handlers: only the main one may, whose id is that of the process (gettid(2))."""
    import threading

    return threading.get_native_id() == os.getpid()


@contextmanager
def lent() -> Iterator[None]:
    """Within somebody else's program: catch both signals gracefully for the block, then give them back as they were.

    In the command, which has them for good, this does nothing; nor in a thread that is not the main one, which no signal interrupts.
    """
    global requested, _reader, _writer
    if _reader >= 0 or not _in_main_thread():
        yield
        return
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(-1)
    try:
        with graceful():
            install()
            yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(wakeup)
        os.close(_reader)
        os.close(_writer)
        requested, _reader, _writer = None, -1, -1


def pause(seconds: float) -> bool:
    """Sleep for *seconds*, less if a signal comes (or has come) that asks for the end; return whether one has."""
    if requested is None:
        select.select([_reader] if _reader >= 0 else [], [], [], max(seconds, 0.0))
        if requested is None and _reader >= 0:
            _empty()
    return requested is not None


def wait(fd: int, seconds: float) -> None:
    """Wait until *fd* can be read, for *seconds* at most, less if a signal comes that asks for the end.

    By poll, which unlike select takes descriptors above 1023: a lane of a thousand senders has such.
    """
    if requested is not None:
        return
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    if _reader >= 0:
        poller.register(_reader, select.POLLIN)
    ready = dict(poller.poll(1000 * max(seconds, 0.0)))
    if _reader in ready and requested is None:
        _empty()


def _empty() -> None:
    """Forget the wake-ups of signals that did not ask for the end (SIGCHLD, SIGWINCH), or `pause` would not sleep again."""
    try:
        os.read(_reader, 4096)
    except BlockingIOError:
        pass


def check() -> None:
    """Raise Interrupted if the end was asked for, TimeLimitExceeded if a limit is over."""
    check_signal()
    check_limit()


def check_limit() -> None:
    """Raise TimeLimitExceeded if a limit is over: for what a signal does not end, because it saves what was measured."""
    for limit in _limits:
        if limit.patience.over():
            raise TimeLimitExceeded(f"{limit.what()}: not done after {limit.patience.seconds:.0f} s, the limit of this phase")


def check_signal() -> None:
    """Raise Interrupted if the end was asked for, whatever time is left: for what must not be broken off half-way."""
    if requested is not None:
        raise Interrupted(requested)


class limited:
    """Within the block `check` raises TimeLimitExceeded once it has lasted *seconds*; *what* says what is being done. May be nested.

    Time in which the process was stopped (Ctrl-Z, SIGSTOP) does not count.
    """

    def __init__(self, seconds: float, what: Callable[[], str]) -> None:
        self.what, self.patience = what, Patience(seconds, _LONGEST_STEP_S)

    def __enter__(self) -> None:
        self.patience.renew()
        _limits.append(self)

    def __exit__(self, *exc: object) -> None:
        _limits.remove(self)


def ended_by_user() -> bool:
    """Say whether a SIGINT, which is Ctrl-C at a terminal, asked for the end."""
    return requested == signal.SIGINT


def forget_in_child() -> None:
    """Make a forked worker ignore both signals: the coordinator ends it, so a Ctrl-C at the terminal is the coordinator's alone."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
