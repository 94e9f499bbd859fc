"""Read a config: TOML or YAML in, a checked Study out. All problems of a file are reported at once, with file, line and key.

Importing this package costs next to nothing; the parsers and the models are imported by the functions that need them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from zcload.errors import ConfigError, Problem

if TYPE_CHECKING:
    from zcload.model.study import Study

__all__ = ["from_tree", "json_schema", "load", "loads"]


def load(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Study:
    """Read the config file *path* (.toml, .yaml or .yml) with *overrides* ("workload.chunk=64KiB"); raises ConfigError."""
    from zcload.config.build import build
    from zcload.config.source import read

    return build(read(path), overrides)


def loads(text: str, format: Literal["toml", "yaml"] = "toml", name: str | None = None, overrides: Sequence[str] = ()) -> Study:
    """Parse the config *text*; *name* stands for the file in errors. Raises ConfigError."""
    from zcload.config.build import build
    from zcload.config.source import parse

    return build(parse(text, format, name), overrides)


def from_tree(tree: Mapping[str, Any], name: str | None = None, overrides: Sequence[str] = ()) -> Study:
    """Check a config that is data already, such as the effective one stored in a result; raises ConfigError."""
    from zcload.config.build import build
    from zcload.config.source import ConfigSource

    if not isinstance(tree, Mapping):
        raise ConfigError(Problem("the stored config is not a table of sections", file=name))
    return build(ConfigSource(name, dict(tree)), overrides)


def json_schema() -> dict[str, Any]:
    """Describe a config file in JSON Schema 2020-12, for editors and for programs that write configs."""
    from zcload.config.root import describe

    return describe()
