"""What is wrong with the words of a command line, in zcload's own form: the option first, then what to type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from zcload.errors import ConfigError, Problem
from zcload.model.units import shown


def usage_error(error: Any, command: str) -> ConfigError | None:
    """Return typer's *error* about the arguments of *command* ("zcload run") as a ConfigError; None if it is another error.

    typer brings its own copy of click since 0.26, whose error classes are private: they are known by what they have.
    """
    if not callable(getattr(error, "format_message", None)):
        return None
    context = getattr(error, "ctx", None)
    see = f"see `{context.command_path if context is not None else command} --help`"
    option = getattr(error, "option_name", None)
    near = " or ".join(sorted(getattr(error, "possibilities", None) or ()))
    refused = getattr(error.__cause__, "errors", None)  # pydantic's, of a value that is no number or out of its range
    message = error.format_message().rstrip(".")
    if context is not None and hasattr(error, "possibilities") and (instead := _instead_of(str(option), context.command.params)):
        return ConfigError(Problem(f"no such option: {option}", remedy=f"{instead}; {see}"))
    if near:
        return ConfigError(Problem(f"no such option: {option}", remedy=f"did you mean {near}? {see}"))
    if option is not None and message.endswith("does not take a value"):
        return ConfigError(Problem("takes no value", key=option, remedy=f"write {option} alone"))
    if option is not None and message.endswith("requires an argument"):
        return ConfigError(Problem("needs a value", key=option, remedy=see))
    if callable(refused):
        return ConfigError(Problem(_fault(refused()[0]), key=error.param.opts[-1], remedy=see))
    return ConfigError(Problem(message[:1].lower() + message[1:], remedy=see))


def _instead_of(option: str, parameters: Sequence[Any]) -> str | None:
    """Return what to write for an *option* that is no option but a config key, or a value of --format; None for all others."""
    from zcload.config.root import KEYS

    word = option.lstrip("-")
    helps = {name: parameter.help or "" for parameter in parameters for name in parameter.opts if name.startswith("--")}
    if word in re.findall(r"[a-z-]+", helps.get("--format", "")):
        return f"write --format {word}"
    key = word.replace("-", "_")
    sections = [path[0] for path, keys in KEYS.items() if key in keys and path not in ((), ("variant",))]
    return f"write --set {sections[0]}.{key}=VALUE" if "--set" in helps and sections else None


def _fault(refused: Any) -> str:
    """Return why a value is not the number that an option takes, by what pydantic has *refused*."""
    limits = refused.get("ctx", {})
    if "ge" in limits:
        return f"{refused['input']} is out of range: expected {limits['ge']} or more"
    if "le" in limits:
        return f"{refused['input']} is out of range: expected {limits['le']} or less"
    return f"{shown(refused['input'])} is not a whole number"
