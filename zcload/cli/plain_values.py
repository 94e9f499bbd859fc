"""Commands that convert plain values themselves: typer imports pydantic for that, which takes longer than most commands run.

typer (0.29) makes a pydantic adapter for every parameter of a command, given or not. A value that is left out, one that has its type
already, and text for a parameter of type str or Path need none. All other values go to typer: numbers, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup

# By the type of a parameter: what becomes of the text, or of the tuple of texts, that was given for it.
PLAIN: dict[object, Callable[[Any], object]] = {str: str, Path: Path, list[str]: list, list[Path]: lambda words: [*map(Path, words)]}


class PlainCommand(TyperCommand):
    """A command that converts plain values itself."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group that does so with its own options."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


def _plain(parameters: Iterable[Any]) -> list[Any]:
    """Return *parameters*, each of which now takes plain values as they are."""
    found = list(parameters)
    for parameter in found:
        if "process_value" not in vars(parameter):
            parameter.process_value = _converter(parameter)
    return found


def _converter(parameter: Any) -> Callable[[Any, object], object]:
    by_typer = parameter.process_value
    several = parameter.multiple or parameter.nargs == -1
    annotation = parameter.type_descriptor.annotation

    def process_value(context: Any, value: Any) -> object:
        given = value not in (None, ())
        if not given and parameter.required:
            return by_typer(context, value)
        if not given:
            value = () if several else None
        elif annotation in PLAIN and all(isinstance(word, str) for word in (value if several else (value,))):
            value = PLAIN[annotation](value)
        elif type(value) is not annotation:
            return by_typer(context, value)
        return value if parameter.callback is None else parameter.callback(context, parameter, value)

    return process_value
