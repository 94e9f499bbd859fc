"""Read a config file and parse TOML or YAML into one tree. Whatever the bytes are, the only error is ConfigError."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from zcload.config.finding import Path
from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.regular_file import read_regular
from zcload.model.units import LONGEST_TEXT

Format = Literal["toml", "yaml"]
SUFFIXES: dict[str, Format] = {".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}
MOST_BYTES = 1 << 20  # a config has a few kB; more is a data file given by mistake

Lines = dict[Path, int]


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """A config *tree* and where it came from: *name* of the file, and *find_lines*, run only to report a problem."""

    name: str | None
    tree: dict[str, Any]
    find_lines: Callable[[], Lines] = dict


def read(path: str | os.PathLike[str]) -> ConfigSource:
    """Read and parse the config file *path*; raises ConfigError."""
    name = os.fspath(path)
    # A name can hold anything, a line break too; an error stays on its line.
    shown_name = name if name.isprintable() else ascii(name)
    try:
        if not os.path.isdir(path) and PurePath(path).suffix.lower() not in SUFFIXES and os.path.exists(path):
            raise _refused(shown_name, "unknown file type: expected a name that ends in .toml, .yaml or .yml")
        content = read_regular(path, MOST_BYTES)
    except FileNotFoundError:
        raise _refused(shown_name, "no such file", remedy="`zcload init` writes a commented config") from None
    except IsADirectoryError:
        raise _refused(shown_name, "is a directory: expected a config file") from None
    except (OSError, ValueError) as error:
        raise _refused(shown_name, f"cannot be read: {reason_of(error)}") from None
    try:
        # Editors on other systems put a byte-order mark first; it says nothing.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(shown_name, f"is not UTF-8 text: byte 0x{content[error.start]:02x} at offset {error.start}", line) from None
    return parse(text, SUFFIXES[PurePath(path).suffix.lower()], shown_name)


def parse(text: str, format: Format, name: str | None) -> ConfigSource:
    """Parse *text*; raises ConfigError, with *name* as the file."""
    if format == "toml":
        tree, find_lines = _parse_toml(text, name), _toml_lines
    else:
        tree, find_lines = _parse_yaml(text, name), _yaml_lines
    if not tree and (tree is None or isinstance(tree, dict)):
        raise _refused(name, "is empty: expected a [study] section", remedy="`zcload init` writes a commented config")
    if not isinstance(tree, dict):
        raise _refused(name, "contains no sections: expected [study], [workload], [stop] and [[variant]]")
    return ConfigSource(name, tree, lambda: find_lines(text))


def _toml_lines(text: str) -> Lines:
    from zcload.config.lines import toml_lines

    return toml_lines(text)


def _yaml_lines(text: str) -> Lines:
    from zcload.config.lines import yaml_lines

    return yaml_lines(text)


def _parse_toml(text: str, name: str | None) -> Any:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _refused(name, "is nested too deeply for a config") from None
    except tomllib.TOMLDecodeError as error:
        # The position is an attribute only from Python 3.14 on.
        position = re.search(r" \(at line ([0-9]+), column ([0-9]+)\)$", str(error))
        if position is None:
            raise _refused(name, f"not valid TOML: {_one_line(str(error))}") from None
        what = f"not valid TOML: {_one_line(str(error)[: position.start()])} (column {position[2]})"
        raise _refused(name, what, int(position[1])) from None
    # int() refuses more than 4300 digits, and tomllib lets that through.
    except ValueError:
        raise _refused(name, "not valid TOML: a number has thousands of digits") from None


def _parse_yaml(text: str, name: str | None) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        # Pure Python, because the C parser reads YAML 1.1, where "1:30" is 90 and "on" is true. Duplicate keys are errors by default.
        return YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise _refused(name, "is nested too deeply for a config") from None
    except MarkedYAMLError as error:
        what = error.problem or error.context or ""
        if error.context and what.startswith("but "):
            what = f"{error.context}, {what}"
        mark = error.problem_mark or error.context_mark
        if mark is None:
            raise _refused(name, f"not valid YAML: {_one_line(what)}") from None
        raise _refused(name, f"not valid YAML: {_one_line(what)} (column {mark.column + 1})", mark.line + 1) from None
    # Its constructors let ValueError, KeyError and others through for a date of month 13, a number of 5000 digits, an odd tag ...
    except Exception as error:
        raise _refused(name, f"not valid YAML: {_one_line(str(error))}") from None


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    line = line if line.isprintable() else ascii(line)[1:-1]
    return line if len(line) <= 2 * LONGEST_TEXT else line[: 2 * LONGEST_TEXT] + "..."


def _refused(name: str | None, what: str, line: int | None = None, remedy: str | None = None) -> ConfigError:
    return ConfigError(Problem(what, file=name, line=line, remedy=remedy))
