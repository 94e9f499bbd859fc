"""Commands in a stored result: shown and confirmed before they run, for a result may be somebody else's."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zcload.errors import ConfigError, Problem


def confirm_stored_commands(name: str, *, yes: bool, plan_only: bool) -> None:
    """Print on stderr what running the stored result *name* would execute, and ask; nothing if *name* is no result or executes nothing.

    With *yes* it does not ask. With *plan_only* it leaves out what a plan does not execute. Raises ConfigError if the answer is no, or if
    there is no terminal to ask at.
    """
    commands = list(stored_commands(Path(name).expanduser(), plan_only=plan_only))
    if not commands:
        return
    print(f"zcload: {name} executes on this machine:", *(f"  {variant}: {what}" for variant, what in commands), sep="\n", file=sys.stderr)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        what = "holds commands that would be executed, and there is no terminal to ask at"
        raise ConfigError(Problem(what, file=name, remedy="read them above, then add --yes"))
    print("Execute them? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError(Problem("not run: its commands were not confirmed", file=name))


def stored_commands(path: Path, *, plan_only: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the variant and what it executes, for the stored result at *path*: commands, checks, and mechanisms from files.

    A plan starts no server, but it runs the checks and imports the mechanisms: with *plan_only* the commands of servers are left out.
    They are read from the header as it is: to check the config would already import a mechanism's file.
    """
    from zcload.mechanisms.own_file import is_file_form
    from zcload.model.printable import one_line
    from zcload.store.reader import SUMMARY, WINDOWS, read_header

    stored = path / WINDOWS if path.is_dir() else path.with_name(WINDOWS)
    if not (path.is_dir() or path.name in (SUMMARY, WINDOWS)) or not stored.exists():
        return
    config: Mapping[str, Any] = read_header(stored)["config"]
    cluster = config.get("cluster")
    if isinstance(cluster, Mapping):  # a client unpickles what its scheduler answers
        yield "cluster", one_line(f"whatever the scheduler {cluster.get('scheduler')} answers")
    variants = config.get("variant")
    for variant in variants if isinstance(variants, list) else ():
        if not isinstance(variant, Mapping):
            continue
        name = one_line(str(variant.get("name")))
        for key in ("check",) if plan_only else ("check", "command"):
            words = variant.get(key)
            if isinstance(words, list) and words:
                yield name, one_line(f"{'' if key == 'command' else 'check: '}{shlex.join(map(str, words))}")
            elif isinstance(words, str) and words:
                yield name, one_line(f"{'' if key == 'command' else 'check: '}{words}")
        mechanism = variant.get("mechanism")
        if isinstance(mechanism, str) and is_file_form(mechanism):
            yield name, one_line(f"the Python code in {mechanism}")
