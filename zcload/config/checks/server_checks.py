"""Checks of servers across several keys."""

from __future__ import annotations

from collections.abc import Iterator

from zcload.config.finding import Finding, near_miss
from zcload.config.resolved import ConfigTable, Resolved
from zcload.model.placeholders import ONLY_WITH_TLS, held
from zcload.model.units import shown

_OF_A_START = ("files", "environment", "stop_signal", "grace", "check")  # keys that a server which runs already has no use for
_WITH_PLACEHOLDERS = ("command", "path", "environment", "files")


def find_servers(config: Resolved) -> Iterator[Finding]:
    """Find what is wrong with each server beyond its single keys, and what a study with servers cannot have."""
    for server in config.servers:
        yield from _started_or_attached(server, config.workload)
        for name in sorted(set().union(*map(held, _texts(server.written.get("check")))) - {"python"}):
            yield Finding(server.at("check"), f"{{{name}}} has no value before the server starts", "only {python} works here")
        yield from _brackets(server, config.workload)
        yield from _tls(server)
        yield from _over(server, config)
    if config.servers:
        yield from _ports(config)
        yield from _socket_options(config)
    if config.workload.holds("transfer", "per-file"):
        yield from _small_files(config)


def _started_or_attached(server: ConfigTable, workload: ConfigTable) -> Iterator[Finding]:
    if "attach" not in server:
        if "command" not in server:
            remedy = "as in command = ['nginx', '-c', '{dir}/nginx.conf'], or attach = PID"
            yield Finding(server.at("command"), "missing key", remedy)
        return
    if "command" in server:
        yield Finding(server.at("attach"), "command and attach exclude each other: expected one of them")
        return
    if not server.value("port"):
        yield Finding(server.at("port"), "missing key: the port where the running server listens", "as in port = 8080")
    for key in _OF_A_START:
        if key in server:
            yield Finding(server.at(key), "only works with a command: zcload does not change a running server")
    if server.holds("tls", True):
        what = "only works with a command: zcload trusts only certificates that it made"
        yield Finding(server.at("tls"), what, "leave it out and set port to a plain HTTP port of the server")
    for network in workload.values("network"):
        if network.value == "veth":
            what = f"{shown(server.text('name'))} is already running outside of zcload's network namespaces: veth needs a command"
            yield Finding(network.path, what, "network = 'loopback'")
    if workload.holds("file", None) and workload.holds("dir", None):
        what = "a running server cannot read a file that zcload makes in memory"
        yield Finding(server.at("attach"), what, "set workload.file to the file that it serves")


def _brackets(server: ConfigTable, workload: ConfigTable) -> Iterator[Finding]:
    """Find an IPv6 address that would stand before a port without its brackets."""
    if any(":" in found.value for found in workload.values("address")):
        for key in _WITH_PLACEHOLDERS:
            if any("{address}:{port}" in text for text in _texts(server.written.get(key))):
                yield Finding(server.at(key), "an IPv6 address before a port needs brackets", "{host}:{port} instead of {address}:{port}")


def _tls(server: ConfigTable) -> Iterator[Finding]:
    """Find where the certificate of a server and *tls* do not go together."""
    used = {key: set().union(*map(held, _texts(server.written.get(key)))) for key in _WITH_PLACEHOLDERS}
    for key, names in used.items():
        for name in ONLY_WITH_TLS:
            if name in names and key == "path":
                yield Finding(server.at(key), f"{{{name}}} cannot be part of a URL path")
            elif name in names and server.holds("tls", False):
                yield Finding(server.at(key), f"{{{name}}} only works with tls", "tls = true")
    if not server.holds("tls", True) or "attach" in server:
        return
    absent = [f"{{{name}}}" for name in ONLY_WITH_TLS if not any(name in names for names in used.values())]
    if absent and "command" in server:
        yield Finding(
            server.at("tls"),
            f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not used in command, environment or files: "
            "the server would not present the certificate that zcload trusts",
            "as in nginx's ssl_certificate {certificate};",
        )


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in the *value* of a key, whatever its form."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            yield each


def _over(server: ConfigTable, config: Resolved) -> Iterator[Finding]:
    over, own = server.text("over"), server.text("name")
    names = [contender.name for contender in config.contenders if contender.name not in (None, own)]
    if over is not None and over not in names:
        what = f"{shown(over)} is not the name of another variant: expected one of {config.listed(but=own)}"
        yield Finding(server.at("over"), what, near_miss(over, [name for name in names if name]))


def _ports(config: Resolved) -> Iterator[Finding]:
    """Find the fixed ports on which two servers would have to listen at the same time."""
    names: dict[int, str | None] = {}
    for server in config.servers:
        for found in server.changed("port") if "attach" not in server else ():
            if server.text("name") == config.study.text("baseline"):
                what = "the baseline may run several times at once, so it cannot have a fixed port"
                yield Finding(found.path, what, "port = 0")
            elif found.value in names:
                what = f"{shown(names[found.value])} already has port {shown(found.value)}, and both run at the same time"
                yield Finding(found.path, what, "port = 0")
            names[found.value] = server.text("name")


def _socket_options(config: Resolved) -> Iterator[Finding]:
    name = shown(config.servers[0].text("name"))
    why = f"zcload cannot set the sockets of {name}, so the kernel tunes those of all lanes"
    for key in ("socket_buffer", "congestion"):
        for found in config.workload.values(key) if key in config.workload else ():
            if found.written != "auto":
                what = f"{shown(found.written)} does not work with a server: {why}"
                yield Finding(config.workload.at(key), what, 'leave it out, or write "auto"')
                break


def _small_files(config: Resolved) -> Iterator[Finding]:
    """Find the servers that cannot be asked for small files, each by its own name."""
    for server in config.servers:
        if "attach" in server:
            what = "a running server cannot serve the small files that zcload makes"
            yield Finding(server.at("attach"), what, "let zcload start it, with command and {root}; or transfer = 'stream'")
        for found in server.values("path"):
            if not {"name", "file"} & held(found.value):
                what = "each small file has its own path"
                yield Finding(found.path, what, "put {name} into it, as in path = '/{name}'")
