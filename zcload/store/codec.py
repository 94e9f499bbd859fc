"""Decode what is stored: lines of windows.jsonl and summary.json, checked against their types.

What does not fit is refused with file, line, key, what was found and what was expected. Lines of a kind that this version does not
know, and keys that it does not know, were written by a later one and are no error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from zcload.errors import ConfigError, Problem
from zcload.model.records import values
from zcload.model.records.lines import MEASUREMENT_KINDS, Header, Line
from zcload.model.records.lines import SCHEMA as WINDOWS_SCHEMA
from zcload.model.records.summary import SCHEMA as SUMMARY_SCHEMA
from zcload.model.records.summary import Summary
from zcload.store.consistency import Fault, header_problems, line_problems, summary_problems
from zcload.store.quick_lines import is_summary, quick_line

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

_MOST_PROBLEMS = 5  # of a line or a file that are told: a file of another program has thousands
_MOST_SHOWN = 40  # characters of what was found


def decode_header(data: bytes, path: Path) -> Header:
    """Return the first line of the windows.jsonl at *path*; raises ConfigError."""
    found = _parse(data, path, 1)
    if not isinstance(found, dict) or found.get("kind") != "header":
        raise ConfigError(Problem("holds no result: not even its header was written", file=str(path)))
    _check_schema(found, WINDOWS_SCHEMA, path)
    _validated(data, path, 1)
    header = cast(Header, found)
    refuse(header_problems(header), path, 1)
    return header


def decode_line(data: bytes, path: Path, number: int, points: int) -> Line | None:
    """Return line *number* of the windows.jsonl at *path*, which is of so many *points*; None if its kind is not known.

    Raises ConfigError.
    """
    record = quick_line(data) or _validated(data, path, number)
    if record is None:
        return None
    refuse(line_problems(record, points), path, number)
    # pydantic makes 1.0 of a 1 where a number is asked for; what ends up in a summary is to stay as it was written.
    return record if record["kind"] in MEASUREMENT_KINDS else cast(Line, _parse(data, path, number))


def decode_summary(data: bytes, path: Path) -> Summary:
    """Return the summary.json at *path*, whose content is *data*; raises ConfigError."""
    found = _parse(data, path, None)
    if not isinstance(found, dict) or not str(found.get("schema")).startswith("zcload.summary/"):
        raise ConfigError(Problem("is not a zcload summary", file=str(path)))
    _check_schema(found, SUMMARY_SCHEMA, path)
    if not is_summary(data):
        _check_summary(data, found, path)
    summary = cast(Summary, found)
    refuse(summary_problems(summary), path, None)
    return summary


def _check_summary(data: bytes, found: object, path: Path) -> None:
    """Raise ConfigError with every fault of a summary; in three tenths of a second."""
    from pydantic import ValidationError

    try:
        summary_adapter().validate_json(data)
    except ValidationError as error:
        raise _refusal(error, found, path, None) from None


def _validated(data: bytes, path: Path, number: int) -> Line | None:
    """Return the line as its type has it; None if its kind is not known."""
    from pydantic import ValidationError

    try:
        return line_adapter().validate_json(data)
    except ValidationError as error:
        found = _parse(data, path, number)
        if not isinstance(found, dict) or not isinstance(found.get("kind"), str):
            raise _not_json("expected an object with a kind", path, number) from None
        if error.errors(include_url=False)[0]["type"] == "union_tag_invalid":
            return None
        raise _refusal(error, found, path, number) from None


def refuse(wrong: Iterable[Fault], path: Path, line: int | None) -> None:
    """Raise ConfigError if anything of the *line* of *path*, or of the whole file, is *wrong*."""
    if found := list(wrong):
        raise ConfigError(*(Problem(what, key=key, file=str(path), line=line) for key, what in found[:_MOST_PROBLEMS]))


@cache
def line_adapter() -> TypeAdapter[Line]:
    """Return the validator of a line; made once, in a tenth of a second."""
    from pydantic import Field, TypeAdapter

    _configure()
    return TypeAdapter(Annotated[Line, Field(discriminator="kind")])


@cache
def summary_adapter() -> TypeAdapter[Summary]:
    """Return the validator of a summary."""
    from pydantic import TypeAdapter

    _configure()
    return TypeAdapter(Summary)


@cache
def _configure() -> None:
    """Have numbers be numbers (not texts of them), finite ones, and unknown keys be kept, in all stored objects."""
    from pydantic import ConfigDict, with_config

    with_config(ConfigDict(strict=True, extra="allow", allow_inf_nan=False))(values.Stored)


def _parse(data: bytes, path: Path, line: int | None) -> object:
    """Return *data* as plain values; raises ConfigError."""
    try:
        return json.loads(data, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        if "integer string conversion" in why:  # Python's words say how to raise its limit, which is no advice for a user
            why = "a number has too many digits"
        raise _not_json(why, path, line) from None


def _not_json(why: str, path: Path, line: int | None) -> ConfigError:
    return ConfigError(Problem(f"{'is not JSON' if line is None else 'not a line of a zcload result'}: {why}", file=str(path), line=line))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _check_schema(found: Mapping[str, object], expected: str, path: Path) -> None:
    if found.get("schema") != expected:
        what = f"has the schema {_shown(found.get('schema'))}; this zcload reads {json.dumps(expected)}"
        raise ConfigError(Problem(what, file=str(path), remedy="use the zcload that wrote it"))


def _refusal(error: ValidationError, found: object, path: Path, line: int | None) -> ConfigError:
    """Return what to raise for what pydantic found wrong."""
    wrong = error.errors(include_url=False)
    if wrong[0]["type"] == "json_invalid":
        return _not_json(str(wrong[0]["ctx"]["error"]), path, line)
    problems = [
        Problem(_what(each["type"], each["msg"], each["input"]), key=key_of(each["loc"], found) or None, file=str(path), line=line)
        for each in wrong[:_MOST_PROBLEMS]
    ]
    if len(wrong) > len(problems):
        problems.append(Problem(f"and {len(wrong) - len(problems)} more", file=str(path), line=line))
    return ConfigError(*problems)


def _what(kind: str, message: str, found: object) -> str:
    if kind == "missing":
        return "is missing"
    expected = message.removeprefix("Input should be ")
    return f"found {_shown(found)}, expected {expected}" if expected != message else f"found {_shown(found)}: {message}"


def _shown(value: object) -> str:
    """Return *value* as JSON, short and in one line."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = str(type(value).__name__)
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def key_of(loc: Sequence[str | int], found: object) -> str:
    """Return the path of keys that pydantic's *loc* stands for in *found*, `points[0].name`: without the names of types in it."""
    text, at = "", found
    for number, part in enumerate(loc):
        if isinstance(part, int) and isinstance(at, list):
            text += f"[{part}]"
            at = at[part] if part < len(at) else None
        elif isinstance(part, str) and isinstance(at, dict) and (part in at or number == len(loc) - 1) and part != "[key]":
            text += f".{part}" if text else part
            at = at.get(part)
    return text
