"""`zcload init` and `zcload schema`: the shipped configs, and the JSON Schemas."""

from __future__ import annotations

import sys
from pathlib import Path

from zcload.errors import ConfigError, Problem, reason_of


def config_directory() -> Path:
    """Return where the shipped configs are: in the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent.parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """Return the shipped configs by name (with the folder, for those in one)."""
    folder = config_directory()
    return {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*")) if path.suffix in (".toml", ".yaml")}


def write_config(name: str | None, list_only: bool) -> None:
    """Write the shipped config *name* into the current directory, or list all; raises ConfigError."""
    import difflib

    configs = shipped_configs()
    if list_only:
        width = max(map(len, configs))
        for each, path in configs.items():
            print(f"{each:<{width}}  {_first_comment(path)}")
        return
    name = name or "smoke"
    if name not in configs:
        near = difflib.get_close_matches(name, configs, n=1)
        raise ConfigError(
            Problem(f"there is no shipped config {name!r}", remedy=f"did you mean {near[0]!r}?" if near else "see `zcload init --list`")
        )
    target = Path(configs[name].name)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(configs[name].read_text(encoding="utf-8"))
    except FileExistsError:
        raise ConfigError(
            Problem(f"{target} exists already and is left as it is", remedy="rename it, or work in another directory")
        ) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {target}: {reason_of(error)}")) from None
    print(f"wrote {target}; run it with: zcload run {target}")


def _first_comment(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ") and "schema" not in line:
            return line[2:]
    return ""


def show_schema(result: bool) -> None:
    """Print the JSON Schema of the config, or of summary.json."""
    import json

    if result:
        from zcload.analysis.summary_schema import summary_schema

        json.dump(summary_schema(), sys.stdout, indent=1)
    else:
        from zcload.config import json_schema

        json.dump(json_schema(), sys.stdout, indent=1)
    print()
