"""The keys of a variant of kind "server", and what only several of them together show."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from zcload.config.finding import Finding, Path, near_miss
from zcload.config.registries import sink_names, tls_sinks
from zcload.config.sections import SINK, VARIANT_NAME, Section, key
from zcload.config.swept import values_of
from zcload.config.values import FLAG, Kind, choice, duration, or_word, size, text, whole
from zcload.model.placeholders import ONLY_WITH_TLS, PLACEHOLDERS, held, unknown
from zcload.model.units import ValueRefused, shown

_KNOWN = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_STOP_SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGKILL")


def _checked(found: str) -> str:
    for name in unknown(found):
        near = near_miss(name, PLACEHOLDERS)
        remedy = near.replace("'", "'{", 1).replace("'?", "}'?") if near else f"write {{{{{name}}}}} for the text {{{name}}} itself"
        raise ValueRefused(f"{{{name}}} in {shown(found)} is no placeholder: expected one of {_KNOWN}", remedy)
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
                raise ValueRefused(f"{shown(value)} at {shown(name)} is no text", f'write "{value}"' if isinstance(value, int) else None)
        return {name: _checked(value) for name, value in found.items()}

    return Kind(
        parse, lambda: {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": f"^(?:{names})$"}}
    )


COMMAND = Kind(
    _parse_command,
    lambda: {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
)
ENVIRONMENT = _parse_texts("environment variables", r"[^=\x00]{1,255}", "a name without '='")
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
    attach: Annotated[int | None, PID] = key(None, "Instead of a command: the process ID of a server that runs already.")
    port: Annotated[int, whole(0, 65535)] = key(0, "TCP port of the server; 0: any free one, which {port} holds.")
    path: Annotated[str, URL_PATH] = key("/{name}", "Path of the file on the server.")
    ready_time: Annotated[float, duration("100ms", "10m")] = key(10.0, "Longest time from the start until the file can be had.")
    request_size: Annotated[int | None, or_word("auto", or_word("whole", size("4KiB", "2147479552B")), stands_for=0)] = key(
        0, "Bytes asked for with one request (a range); 'whole': the whole file; 'auto': 4 MiB, at a rate the workload's chunk."
    )
    environment: Annotated[dict[str, str], ENVIRONMENT] = key({}, "Environment variables, beside those that zcload was started with.")
    files: Annotated[dict[str, str], FILES] = key({}, "Files that zcload writes into {dir} before the start: name and content.")
    stop_signal: Annotated[str, choice(*_STOP_SIGNALS)] = key("SIGTERM", "Signal that asks the server to end.")
    grace: Annotated[float, duration("10ms", "10m")] = key(5.0, "Time that it is given to end before it is killed.")
    sink: Annotated[str | None, SINK] = key(None, "Instead of the workload's sink.")
    over: Annotated[str | None, VARIANT_NAME] = key(None, "The variant whose work the server does: its cost over that one is reported.")
    tls: Annotated[bool, FLAG] = key(False, "true: https, with a certificate made for the start, {certificate} and {key}; needs a command.")
    install: Annotated[str | None, INSTALL] = key(None, "How to get the program, told to whoever does not have it.")


SERVER_KEYS = tuple(ServerSection.model_fields)
assert all(hasattr(signal, name) for name in _STOP_SIGNALS)


def find_server(path: Path, variant: Mapping[str, Any], tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the server at *path* beyond its single keys."""
    command, attach = "command" in variant, "attach" in variant
    if command and attach:
        yield Finding((*path, "attach"), "a server is started or it runs already: expected either command or attach")
    elif attach:
        if not variant.get("port"):
            yield Finding((*path, "port"), "the key is missing: where does the running server listen?", "as in port = 8080")
        for name in ("files", "environment", "stop_signal", "grace"):
            if name in variant:
                yield Finding((*path, name), "a server that runs already is left as it is: this needs a command")
        if variant.get("tls") is True:
            what = "a server that runs already has a certificate of its own, and only one made by zcload is trusted: this needs a command"
            yield Finding((*path, "tls"), what, "leave it out and name a plain port of the server")
        workload = tree.get("workload")
        given = workload if isinstance(workload, dict) else {}
        for where, network in values_of(given, "network", "loopback"):
            if network == "veth":
                what = f"{shown(variant.get('name'))} runs already, outside of the namespaces that zcload makes: this needs a command"
                yield Finding(where, what, "network = 'loopback'")
        if given.get("file", "auto") == "auto" and given.get("dir", "auto") == "auto":
            yield Finding(
                (*path, "attach"),
                "a running server cannot serve a file that zcload makes in memory",
                "set workload.file to the file that it serves",
            )
    elif not command:
        yield Finding((*path, "command"), "the key is missing", "as in command = ['nginx', '-c', '{dir}/nginx.conf'], or attach = PID")
    yield from _find_tls(path, variant, tree)


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in the *value* of a key, whatever its form."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            yield each


def _find_tls(path: Path, variant: Mapping[str, Any], tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield where the certificate of a server, its sink and *tls* do not go together."""
    tls = variant.get("tls") is True
    used = {option: set().union(*map(held, _texts(variant.get(option)))) for option in ("command", "path", "environment", "files")}
    for option, names in used.items():
        for name in ONLY_WITH_TLS:
            if name in names and option == "path":
                yield Finding((*path, option), f"{{{name}}} is a file for the server alone, no part of a path on it")
            elif name in names and variant.get("tls", False) is False:
                yield Finding((*path, option), f"{{{name}}} is there only with tls", "tls = true")
    if not tls or "attach" in variant:
        return
    absent = [f"{{{name}}}" for name in ONLY_WITH_TLS if not any(name in names for names in used.values())]
    if absent and "command" in variant:
        what = f"{' and '.join(absent)} stand{'s' if len(absent) == 1 else ''} nowhere in command, environment or files"
        yield Finding(
            (*path, "tls"),
            f"{what}: the server would not show the certificate that is trusted",
            "as in nginx's ssl_certificate {certificate};",
        )
    yield from _find_sink(path, variant, tree)


def _find_sink(path: Path, variant: Mapping[str, Any], tree: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the sinks of a server with TLS that would take encrypted bytes."""
    workload = tree.get("workload")
    given = workload if isinstance(workload, dict) else {}
    takers = tls_sinks()
    chosen = [((*path, "sink"), variant["sink"])] if "sink" in variant else values_of(given, "sink", "recv")
    for where, sink in chosen:
        if sink in sink_names() and sink not in takers:
            whose = shown(variant.get("name"))
            remedy = " or ".join(f"sink = {taker!r}" for taker in takers)
            yield Finding(where, f"{shown(sink)} works below TLS, where the bytes of {whose} are still encrypted", remedy)


def _ports(servers: Sequence[tuple[Path, Mapping[str, Any]]], baseline: object) -> Iterator[Finding]:
    """Yield the fixed ports on which two servers would have to listen at the same time."""
    seen: dict[object, object] = {}
    for path, variant in servers:
        port = variant.get("port", 0)
        if not port or "attach" in variant:
            continue
        if variant.get("name") == baseline:
            yield Finding((*path, "port"), "the baseline may run more than once at a time, so it cannot have a port of its own", "port = 0")
        elif port in seen:
            yield Finding((*path, "port"), f"{shown(seen[port])} has port {shown(port)} already, and both run at the same time", "port = 0")
        seen[port] = variant.get("name")


def find_for_all(tree: Mapping[str, Any], servers: Sequence[tuple[Path, Mapping[str, Any]]]) -> Iterator[Finding]:
    """Yield what a study with *servers* cannot have."""
    study, workload = tree.get("study"), tree.get("workload")
    yield from _ports(servers, study.get("baseline") if isinstance(study, dict) else None)
    name = shown(servers[0][1].get("name"))
    given = workload if isinstance(workload, dict) else {}
    why = f"the sockets of {name} are not zcload's to set, so those of all lanes are left to the kernel"
    for option in ("socket_buffer", "congestion"):
        found = given.get(option, "auto")
        for value in found if isinstance(found, list) else [found]:
            if value != "auto":
                yield Finding(("workload", option), f"{shown(value)} cannot be had beside a server: {why}", 'leave it out, or write "auto"')
                break
    if "per-file" in [value for _, value in values_of(given, "transfer", "stream")]:
        yield from _find_small_files(servers)


def _find_small_files(servers: Sequence[tuple[Path, Mapping[str, Any]]]) -> Iterator[Finding]:
    """Yield the servers that cannot be asked for small files, each by its own name."""
    for path, variant in servers:
        if "attach" in variant:
            what = "the small files would have to be in the root of a server that runs already"
            yield Finding((*path, "attach"), what, "let zcload start it, with command and {root}; or transfer = 'stream'")
        named = variant.get("path", "/{name}")
        if isinstance(named, str) and not {"name", "file"} & set(held(named)):
            yield Finding(
                (*path, "path"), "each of the small files is asked for by its own name", "put {name} into it, as in path = '/{name}'"
            )
