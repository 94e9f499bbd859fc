"""The configs that come with zcload: find them, and resolve their short names."""

from __future__ import annotations

import difflib
from pathlib import Path

SUFFIXES = (".toml", ".yaml")


def config_directory() -> Path:
    """Return where the shipped configs are: in the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent.parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "configs"


def shipped_configs() -> dict[str, Path]:
    """Return the shipped configs by name: "smoke", "servers/nginx"."""
    folder = config_directory()
    return {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES}


def find_shipped(name: str) -> Path | None:
    """Return the shipped config that *name* means, with or without its folder, suffix and a leading configs/; None if there is none."""
    wanted = name.removeprefix("configs/").removesuffix(".toml").removesuffix(".yaml")
    configs = shipped_configs()
    last_part = {each.rpartition("/")[2]: path for each, path in configs.items()}
    return configs.get(wanted) or last_part.get(wanted)


def closest_shipped(name: str) -> str | None:
    """Return the name of the shipped config that *name* most resembles; None if it resembles none."""
    configs = list(shipped_configs())
    words = [*configs, *(each.rpartition("/")[2] for each in configs)]
    begins = sorted((each for each in words if len(name) > 2 and each.startswith(name)), key=len)
    near = begins or difflib.get_close_matches(name, words, n=1)
    return near[0] if near else None
