"""The keys of a variant of kind "server"."""

from __future__ import annotations

import re
import shlex
import signal
from typing import Annotated

from pydantic import ConfigDict, Field

from zcload.config.finding import near_miss
from zcload.config.sections import SINK, VARIANT_NAME, Section, key
from zcload.config.values import FLAG, Kind, choice, duration, or_word, size, text, whole
from zcload.model.placeholders import PLACEHOLDERS, only_placeholders, unknown
from zcload.model.units import ValueRefused, shown

_KNOWN = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_STOP_SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGKILL")


def _checked(found: str, place: str | None = None) -> str:
    """Return *found* if all its placeholders are known; *place* stands for the text in the error."""
    for name in unknown(found):
        near = near_miss(name, PLACEHOLDERS)
        remedy = near.replace("'", "'{", 1).replace("'?", "}'?") if near else f"write {{{{{name}}}}} for the literal text {{{name}}}"
        raise ValueRefused(f"{{{name}}} in {place or shown(found)} is not a placeholder: expected one of {_KNOWN}", remedy)
    return found


def _parse_command(found: object) -> list[str]:
    words: object = found
    if isinstance(found, str):
        try:
            words = shlex.split(found)
        except ValueError as error:
            raise ValueRefused(f"{shown(found)} is not a command: {str(error).lower()}") from None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        raise ValueRefused(
            f"{shown(found)} is not a command: expected a program and its arguments, as in ['nginx', '-c', '{{dir}}/nginx.conf']"
        )
    return [_checked(word) for word in words]


def _parse_texts(what: str, names: str, expected: str) -> Kind:
    """Return the kind of a table from names that match *names* to texts with placeholders."""

    def parse(found: object) -> dict[str, str]:
        if not isinstance(found, dict):
            raise ValueRefused(f"{shown(found)} is not a table of {what}: expected names and texts")
        for name, value in found.items():
            if not isinstance(name, str) or not re.fullmatch(names, name):
                raise ValueRefused(f"{shown(name)} does not name one of the {what}: expected {expected}")
            if not isinstance(value, str) or "\0" in value:
                raise ValueRefused(f"{shown(value)} at {shown(name)} is not text", f'write "{value}"' if isinstance(value, int) else None)
        return {name: _checked(value) for name, value in found.items()}

    return Kind(
        parse, lambda: {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": f"^(?:{names})$"}}
    )


COMMAND = Kind(
    _parse_command,
    lambda: {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
)
_VARIABLE = r"[^=\x00]{1,255}"


def _parse_environment(found: object) -> dict[str, str | bool]:
    """Take names with texts, or with true for a variable of zcload's own. The texts may be secrets: no error shows one."""
    if not isinstance(found, dict):
        raise ValueRefused('is not a table of environment variables: expected names and texts, as in { WORKERS = "1" }')
    for name, value in found.items():
        if not isinstance(name, str) or not re.fullmatch(_VARIABLE, name):
            raise ValueRefused(f"{shown(name)} does not name one of the environment variables: expected a name without '='")
        if value is not True and (not isinstance(value, str) or "\0" in value):
            raise ValueRefused(
                f"the value of {shown(name)} is not text: expected text, or true to pass on zcload's own variable",
                "put it in quotes" if isinstance(value, int) else None,
            )
    return {name: value if value is True else _checked(value, f"the value of {shown(name)}") for name, value in found.items()}


def _without_values(environment: dict[str, str | bool]) -> dict[str, str | bool]:
    """Return *environment* as it is stored: names, and texts that are placeholders and nothing else."""
    return {name: text if isinstance(text, str) and only_placeholders(text) else True for name, text in environment.items()}


ENVIRONMENT = Kind(
    _parse_environment,
    lambda: {
        "type": "object",
        "additionalProperties": {"anyOf": [{"type": "string"}, {"const": True}]},
        "propertyNames": {"pattern": f"^(?:{_VARIABLE})$"},
    },
    _without_values,
)
# No path leads out of the server's own directory.
FILES = _parse_texts("files", r"[A-Za-z0-9_-][A-Za-z0-9_.+-]{0,127}", "a file name without '/', no '.' first")
_URL_PATH = text("a path on the server", r"/[\x21-\x7e]{0,2047}", "/{name}", expected="text such as '/{name}', without spaces")
URL_PATH = Kind(lambda found: _checked(_URL_PATH.parse(found)), _URL_PATH.schema)
INSTALL = text("a hint", r".{1,200}", "apt-get install nginx", expected="text such as 'apt-get install nginx'")
PID = whole(1, (1 << 22) - 1)  # PID_MAX_LIMIT, linux/threads.h


class ServerSection(Section):
    """A real server as a contender; texts may hold placeholders such as {port}."""

    model_config = ConfigDict(extra="allow", validate_default=False)

    name: Annotated[str, VARIANT_NAME] = Field(description="Name of the variant in tables and results.")
    kind: Annotated[str, choice("server")] = Field(description="'server': a program that serves the file over HTTP.")
    command: Annotated[list[str], COMMAND] = key([], "Program and arguments; it must stay in the foreground or leave children behind.")
    attach: Annotated[int | None, PID] = key(None, "Instead of a command: the process ID of a running server.")
    port: Annotated[int, whole(0, 65535)] = key(0, "TCP port of the server; 0: any free one, which {port} holds.")
    path: Annotated[str, URL_PATH] = key("/{name}", "Path of the file on the server.")
    ready_time: Annotated[float, duration("100ms", "10m")] = key(
        10.0, "Wait at most this long after the start until the server delivers the file."
    )
    request_size: Annotated[int | None, or_word("auto", or_word("whole", size("4KiB", "2147479552B")), stands_for=0)] = key(
        0, "Bytes requested at a time (a range); 'whole': the whole file; 'auto': 4 MiB, at a rate the workload's chunk."
    )
    environment: Annotated[dict[str, str | bool], ENVIRONMENT] = key(
        {}, "Environment variables, added to those of zcload; true: that of zcload. Results keep the names, not the values."
    )
    files: Annotated[dict[str, str], FILES] = key({}, "Files that zcload writes into {dir} before the start: name and content.")
    stop_signal: Annotated[str, choice(*_STOP_SIGNALS)] = key("SIGTERM", "Signal that stops the server.")
    grace: Annotated[float, duration("10ms", "10m")] = key(5.0, "Kill the server if it has not ended after this time.")
    sink: Annotated[str | None, SINK] = key(None, "Instead of the workload's sink.")
    over: Annotated[str | None, VARIANT_NAME] = key(
        None, "The variant that does the same work without a server; the report shows what the server adds."
    )
    tls: Annotated[bool, FLAG] = key(False, "true: https, with a certificate made for the start, {certificate} and {key}; needs a command.")
    http2: Annotated[bool, FLAG] = key(False, "true: ask over HTTP/2, one request at a time; needs the extra http2.")
    http2_window: Annotated[int, size("64KiB", "2147483647B")] = key(
        16 << 20, "Flow control window of the receivers over HTTP/2: bytes that the server may send without an answer."
    )
    check: Annotated[list[str], COMMAND] = key(
        [], "Command that is run before anything is measured; unless it ends with status 0 the variant is skipped, with `install`."
    )
    install: Annotated[str | None, INSTALL] = key(None, "How to install the program; shown when it is missing.")


SERVER_KEYS = tuple(ServerSection.model_fields)
assert all(hasattr(signal, name) for name in _STOP_SIGNALS)
