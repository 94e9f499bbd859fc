"""Sizes of files that are sent one by one: parsed from a config, or from a text file with one size a line."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.regular_file import read_regular
from zcload.model.study import Sizes
from zcload.model.units import ValueRefused, format_size, parse_size, shown

LEAST, MOST = 1, 1 << 30  # bytes of a file; a larger one is a stream
MOST_LINES = 1_000_000
_MOST_BYTES = 64 << 20
_PROBLEMS = 10  # so many wrong lines are told one by one


def parse_sizes(text: object) -> Sizes:
    """Return the sizes that a config's *text* names: "16KiB", "mix: 4KiB 64KiB", "file: PATH"; raises ValueRefused."""
    form, colon, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
    if not colon:
        try:
            return Sizes((_one(text),))
        except ValueRefused as refused:
            path = isinstance(text, str) and re.fullmatch(r"[A-Za-z./~_][\w./~ -]*", text)
            raise ValueRefused(refused.what, refused.remedy or (f"'file: {text}'?" if path else None)) from None
    if form == "mix":
        words = rest.split()
        if len(words) < 2:
            raise ValueRefused(
                f"{shown(text)} is no mix: expected two sizes or more, as in 'mix: 4KiB 64KiB'", f"'{words[0]}'?" if words else None
            )
        return Sizes(tuple(_one(word) for word in words))
    if form == "file":
        if not rest.strip():
            raise ValueRefused(f"{shown(text)} names no file: expected a path, as in 'file: sizes.txt'")
        return Sizes((), os.path.expanduser(rest.strip()))
    raise ValueRefused(f"{shown(text)} is not a size: expected one such as '16KiB', 'mix: 4KiB 64KiB' or 'file: sizes.txt'")


def _one(text: object) -> int:
    size = parse_size(text)
    if not LEAST <= size <= MOST:
        raise ValueRefused(f"{shown(text)} is out of range: expected 1B to 1GiB")
    return size


def format_sizes(sizes: Sizes) -> str:
    """Write *sizes* so that parse_sizes returns them again; those of a file as its path, whatever was read from it."""
    if sizes.path is not None:
        return f"file: {sizes.path}"
    texts = [format_size(size) for size in sizes.values]
    return texts[0] if len(texts) == 1 else f"mix: {' '.join(texts)}"


def read_sizes(sizes: Sizes) -> Sizes:
    """Return *sizes* with the values of its file, if it has one: a size a line, a bare number in bytes, '#' begins a remark.

    Raises ConfigError with every wrong line, at most ten.
    """
    if sizes.path is None:
        return sizes
    try:
        text = read_regular(sizes.path, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        what = f"cannot be read: {reason_of(error)}"
        raise ConfigError(Problem(what, key="workload.transfer_size", file=sizes.path, remedy="a text with a size a line")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem("is not text in UTF-8", key="workload.transfer_size", file=sizes.path)) from None
    values: list[int] = []
    known: dict[str, int] = {}  # a million lines have few different sizes
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        try:
            if word not in known:
                known[word] = _one(f"{word}B" if re.fullmatch("[0-9]{1,18}", word) else word)
            values.append(known[word])
        except ValueRefused as refused:
            problems.append(Problem(_in_a_file(word, refused), file=sizes.path, line=number, remedy=refused.remedy))
        if len(problems) == _PROBLEMS:
            break
    if len(values) > MOST_LINES:
        problems.append(
            Problem(f"holds {len(values)} sizes: expected at most {MOST_LINES}", file=sizes.path, remedy="take a sample of them")
        )
    if not values and not problems:
        problems.append(Problem("holds no size: expected a size a line", key="workload.transfer_size", file=sizes.path))
    if problems:
        raise ConfigError(*problems)
    return replace(sizes, values=tuple(values))


def _in_a_file(word: str, refused: ValueRefused) -> str:
    return "a file of 0 bytes is no transfer: leave it out" if word in ("0", "0B") else refused.what
