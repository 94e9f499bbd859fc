"""`zcload init` and `zcload schema`: the shipped configs, and the JSON Schemas."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from zcload.cli.report import terminal_width
from zcload.config.shipped import closest_shipped, find_shipped, shipped_configs
from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.printable import typed
from zcload.model.study import SERVER
from zcload.model.units import shown

SCHEMA_FILE = "zcload.schema.json"
# What editors take for the schema of a file, relative to it: taplo and tombi for TOML, yaml-language-server for YAML.
_SCHEMA_LINES = {".toml": f"#:schema ./{SCHEMA_FILE}", ".yaml": f"# yaml-language-server: $schema=./{SCHEMA_FILE}"}


def write_config(name: str | None, list_only: bool) -> None:
    """Write the shipped config *name* and its schema into the current directory, or list all; raises ConfigError."""
    if list_only:
        configs = shipped_configs()
        width, columns = max(map(len, configs)), terminal_width() or 80
        for each, path in configs.items():
            print(textwrap.fill(f"{each:<{width}}  {_first_comment(path)}", columns, subsequent_indent=" " * (width + 2)))
        return
    name = name or "smoke"
    source = find_shipped(name)
    if source is None:
        near = closest_shipped(name)
        raise ConfigError(
            Problem(f"no shipped config is called {name!r}", remedy=f"did you mean {near!r}?" if near else "see `zcload init --list`")
        )
    target = Path(source.name)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(_copied(source))
        schema_note = _write_schema()
    except FileExistsError:
        raise ConfigError(Problem(f"{target} already exists", remedy="rename it, or work in another directory")) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {target}: {reason_of(error)}")) from None
    print(f"wrote {target}{schema_note}; run it with: zcload run {typed(target)}")


def write_mechanism(path: Path, name: str | None, list_only: bool) -> None:
    """Write a mechanism of the user's own that runs as it is to *path*, called after the file; raises ConfigError."""
    from zcload.mechanisms import MECHANISMS, own_template

    key, example = "--mechanism", "--mechanism my_send.py"
    if name is not None or list_only:
        raise ConfigError(Problem("cannot be combined with the name of a config or --list", key=key, remedy="run zcload init twice"))
    own = path.stem
    if path.suffix != ".py" or re.fullmatch(r"[a-z][a-z0-9_]{0,47}", own) is None:
        what = f"{shown(str(path))} cannot name a mechanism: expected a-z, 0-9 and _, a letter first, then .py"
        raise ConfigError(Problem(what, key=key, remedy=example))
    if own in MECHANISMS or own == SERVER:
        raise ConfigError(Problem(f"{shown(own)} is a mechanism already", key=key, remedy=f"--mechanism my_{own}.py"))
    title = "".join(part.capitalize() for part in own.split("_"))
    text = Path(own_template.__file__).read_text(encoding="utf-8").replace("OwnTemplate", title)
    text = text.replace("own_template.py", str(path)).replace("own_template", own).split("\n", 1)[1]
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f'"""{own}: a mechanism of my own, one way to send a file.\n{text}')
    except FileExistsError:
        raise ConfigError(Problem(f"{path} already exists", key=key, remedy="rename it, or give another name")) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {path}: {reason_of(error)}", key=key)) from None
    print(f"wrote {path}; run it with: zcload run read_send sendfile --mechanism {path}:{title}")


def _copied(source: Path) -> str:
    """Return the text of the shipped config *source* as a file of its own: with its schema, and naming itself where it named its path."""
    shipped_as = {f"configs/{name}{path.suffix}": path.name for name, path in shipped_configs().items() if path == source}
    text = source.read_text(encoding="utf-8")
    for there, here in shipped_as.items():
        text = text.replace(there, here)
    return f"{_SCHEMA_LINES[source.suffix]}\n{text}"


def _write_schema() -> str:
    """Write the schema beside the config, or renew it, and return a note of that; a file of that name that is not ours is left alone."""
    from zcload.config import json_schema

    path, schema = Path(SCHEMA_FILE), json_schema()
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = schema
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("title") != schema["title"]:
        return f" ({path} was not written by zcload: left unchanged)"
    path.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
    return f" and {path}"


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and "schema" not in line:
            return line[2:]
    return ""


def show_schema(result: bool) -> None:
    """Print the JSON Schema of the config, or of summary.json."""
    if result:
        from zcload.store.result_schema import summary_schema

        json.dump(summary_schema(), sys.stdout, indent=1)
    else:
        from zcload.config import json_schema

        json.dump(json_schema(), sys.stdout, indent=1)
    print()
