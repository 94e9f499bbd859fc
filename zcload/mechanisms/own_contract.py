"""The rules that a user's own mechanism must keep: those that the class shows, and those that a test transfer shows.

The built-in ones are held to the same rules by zcload's tests. Each broken rule is a ValueRefused with what was found and what to write.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import traceback
from collections.abc import Container, Mapping
from typing import Any, NoReturn

from zcload.errors import ZcloadError, reason_of
from zcload.linux import interrupt
from zcload.mechanisms.base import MOST_CALLS, Copies, Mechanism
from zcload.mechanisms.probe_transfer import DATA, transfer
from zcload.model.study import SERVER
from zcload.model.units import ValueRefused, shown

CHECK_LIMIT_S = 10.0  # three chunks over loopback take a moment, whatever the machine does beside
_NAME = r"[a-z][a-z0-9_]{0,47}"
_VARIANT_KEYS = ("name", "mechanism", "chunk", "sink", "kind", "header")  # keys that every variant has


def check_class(cls: object, taken: Container[str]) -> type[Mechanism]:
    """Return *cls* if it declares what a mechanism must, by a name that is not *taken*; raises ValueRefused with the broken rule."""
    if not (isinstance(cls, type) and issubclass(cls, Mechanism)):
        raise ValueRefused(f"{shown(getattr(cls, '__name__', cls))} is not a mechanism", "derive it from zcload.mechanisms.base.Mechanism")
    who = cls.__name__
    name, summary, calls = getattr(cls, "name", None), getattr(cls, "summary", None), cls.calls
    if not (isinstance(name, str) and re.fullmatch(_NAME, name)):
        what = "has no `name`" if name is None else f"has the name {shown(name)}: expected a-z, 0-9 and _, a letter first, at most 48"
        raise ValueRefused(f"{who} {what}", 'write name = "my_send" in the class')
    if name in taken or name == SERVER:
        raise ValueRefused(f"{who} has the name of another mechanism, {shown(name)}", f'write name = "my_{name}" in the class')
    if not (isinstance(summary, str) and summary.strip() and summary.isprintable()):
        raise ValueRefused(f"{who} has no `summary` of one line", 'write summary = "what it does" in the class')
    if not (isinstance(calls, tuple) and all(isinstance(call, str) and re.fullmatch(r"\w+", call) for call in calls)):
        raise ValueRefused(f"{who}.calls is {shown(calls)}: expected a tuple of system calls", 'write calls = ("pread", "send")')
    if len(set(calls)) != len(calls) or len(calls) > MOST_CALLS:
        raise ValueRefused(f"{who}.calls lists {len(calls)} calls: expected different ones, at most {MOST_CALLS}")
    if calls and not cls.calls_are_counted:
        raise ValueRefused(f"{who} declares calls and calls_are_counted = False", "leave out one of the two")
    if cls.one_call and len(calls) != 1:
        raise ValueRefused(
            f"{who} declares one_call = True and {len(calls)} calls: expected one", "leave out one_call, and count in `sender`"
        )
    if cls.send is Mechanism.send:
        raise ValueRefused(f"{who} has no `send`", "define send(self, offset, count) -> int")
    if not (cls.copies is None or isinstance(cls.copies, Copies)):
        raise ValueRefused(f"{who}.copies is {shown(cls.copies)}", "write copies = Copies(2, 2), or leave it out")
    for option, kind in cls.options.items():
        words = isinstance(kind, tuple) and kind and all(isinstance(word, str) for word in kind)
        if option in _VARIANT_KEYS or not (kind in (bool, int, float, str) or isinstance(kind, range) or words):
            remedy = f"use bool, int, float, str, a range or a tuple of words, and none of the names {', '.join(_VARIANT_KEYS)}"
            raise ValueRefused(f"{who}.options[{option!r}] is not an option", remedy)
    return cls


def check_transfer(cls: type[Mechanism], options: Mapping[str, Any], limit_s: float = CHECK_LIMIT_S) -> None:
    """Move a few pages over loopback through *cls* with *options*; raises ValueRefused with the rule that it broke on the way.

    A process of its own does it, for at most *limit_s*: code of others may hang, or crash.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _check_and_tell(cls, options, writer)
    os.close(writer)
    try:
        in_time = select.select([reader], [], [], limit_s)[0]
        if not in_time:
            os.kill(pid, signal.SIGKILL)
        told = os.read(reader, 1 << 16) if in_time else b""
    finally:
        os.close(reader)
        _, status = os.waitpid(pid, 0)
    if not in_time:
        what = f"a test transfer of {len(DATA)} bytes through {cls.__name__} did not end within {limit_s:g} s"
        raise ValueRefused(what, "return from send() once the socket has accepted bytes, and from drain() once they are gone")
    if not told:
        ended = os.waitstatus_to_exitcode(status)
        how = f"was killed by {signal.Signals(-ended).name}" if ended < 0 else f"ended with status {ended}"
        raise ValueRefused(f"a test transfer through {cls.__name__} {how}", "call no code that ends the process")
    refused = json.loads(told)
    if refused is not None:
        raise ValueRefused(*refused)


def _check_and_tell(cls: type[Mechanism], options: Mapping[str, Any], writer: int) -> NoReturn:
    """Be the process that checks: write what was refused, null if nothing was, and end."""
    code = 1
    try:
        interrupt.forget_in_child()
        refused = None
        try:
            _check(cls, options)
        except ValueRefused as broken:
            refused = (broken.what, broken.remedy)
        except MemoryError:
            refused = ("there is too little memory for a test transfer", None)
        os.write(writer, json.dumps(refused).encode()[: 1 << 16])
        code = 0
    finally:
        os._exit(code)


def _check(cls: type[Mechanism], options: Mapping[str, Any]) -> None:
    """Move the pages and judge each call; raises ValueRefused."""
    who, before = cls.__name__, 0

    def judge(mechanism: Mechanism, moved: object, count: int) -> None:
        nonlocal before
        if type(moved) is not int or not 1 <= moved <= count:
            what = f"{who}.send(offset, {count}) returned {shown(moved)}: expected the number of bytes accepted, 1 to {count}"
            raise ValueRefused(what, "return what the system call returned")
        counts = mechanism.counts
        if len(counts) != len(cls.calls) or any(type(each) is not int or each < 0 for each in counts):
            raise ValueRefused(f"{who}.counts is {shown(counts)}: expected a whole number for each of {', '.join(cls.calls) or 'no calls'}")
        if cls.calls and sum(counts) <= before:
            raise ValueRefused(f"{who}.send counted no call", "add 1 to self.counts[i] for each call of the kind calls[i]")
        before = sum(counts)

    try:
        got = transfer(cls, options, judge)
    except (ValueRefused, MemoryError):
        raise
    except OSError as error:
        raise ValueRefused(
            f"a test transfer through {who} failed: {reason_of(error)}", "define probe() to say where it cannot run"
        ) from None
    except ZcloadError as error:
        raise ValueRefused(f"a test transfer through {who} failed: {error}") from None
    except Exception as error:
        raise ValueRefused(f"a test transfer through {who} failed{_place(error)}: {type(error).__name__}: {one_line(error)}") from None
    if cls.moves_payload and got != DATA:
        raise ValueRefused(
            f"{who} delivered other bytes than the file holds: {len(got)} of {len(DATA)} arrived",
            "send the bytes from `offset` on, and return how many the socket accepted",
        )
    if not cls.moves_payload and got:
        raise ValueRefused(f"{who} declares moves_payload = False and sent {len(got)} bytes")


def one_line(error: BaseException) -> str:
    """Return the text of *error* on one line."""
    return " ".join(str(error).split())


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f" in {os.path.basename(last.filename)}:{last.lineno}"
