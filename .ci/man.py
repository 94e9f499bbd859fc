"""Write the man page build/zcload.1, made from the texts of `zcload --help` and of each command's."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def man_page() -> str:
    """Return the page in man(7) macros: a section for the commands, each with its arguments and options in their order."""
    from typer.main import get_command

    from zcload import __version__
    from zcload.cli.app import app

    root: Any = get_command(app)
    lines = [f'.TH ZCLOAD 1 "" "zcload {__version__}" "User Commands"', ".SH NAME", rf"zcload \- {_text(_first_line(root.help))}"]
    lines += [".SH SYNOPSIS", r".B zcload", r"\fICOMMAND\fR [\fIARGUMENT\fR]... [\fIOPTION\fR]...", ".SH DESCRIPTION", _text(root.help)]
    lines += [".SH OPTIONS", *_parameters(root)]
    lines.append(".SH COMMANDS")
    for name, command in commands_of(root):
        arguments = " ".join(rf"\fI{_text(p.metavar)}\fR" for p in command.params if p.param_type_name == "argument")
        lines += [rf".SS zcload {name} {arguments}".rstrip(), _text(command.help), *_parameters(command)]
    for title, text in SECTIONS.items():
        lines += [f".SH {title}", text]
    return "\n".join(lines) + "\n"


def commands_of(group: Any) -> list[tuple[str, Any]]:
    """Return the commands of *group* with their names; of a group below it "GROUP COMMAND"."""
    found = []
    for name, command in group.commands.items():
        if command.hidden:
            continue
        found += [(f"{name} {below}", each) for below, each in commands_of(command)] if hasattr(command, "commands") else [(name, command)]
    return found


SECTIONS = {
    "EXIT STATUS": "0: done. 1: the run, or a lane of it, failed. 2: wrong usage or config. 3: a gate tripped. 130: SIGINT. 143: SIGTERM.",
    "FILES": ".TP\n.I results/\nwhere results are stored, unless --out names another directory.",
    "SEE ALSO": ".BR sendfile (2),\n.BR splice (2),\n.BR io_uring (7)",
}


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(".")


def _parameters(command: Any) -> list[str]:
    """Return an entry for each argument and option of *command*, and for --help, which has no parameter of its own."""
    lines = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            head = rf"\fI{_text(parameter.metavar)}\fR"
        else:
            names = ", ".join(rf"\fB{_text(name)}\fR" for name in (*parameter.opts, *parameter.secondary_opts))
            value = parameter.metavar or parameter.name.rstrip("_").upper()
            head = names if parameter.is_flag else rf"{names} \fI{_text(value)}\fR"
        lines += [".TP", head, _text(parameter.help or "")]
    return [*lines, ".TP", r"\fB\-h\fR, \fB\-\-help\fR", "Show the help and exit."]


def _text(text: str) -> str:
    """Return *text* as roff takes it: in one line, with plain backslashes and minus signs, none of it a request."""
    one_line = re.sub(r"\s+", " ", text.strip()).replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{one_line}" if one_line.startswith((".", "'")) else one_line


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build/zcload.1"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(man_page(), encoding="utf-8")
    print(f"wrote {file}; read it with: man -l {file}")
