"""`zcload crossover`: from two names, or a config, to a study that looks for where one starts to beat the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zcload.errors import ConfigError, Problem
from zcload.model.study import Study


def crossover_study(names: Sequence[str], overrides: Sequence[str], options: dict[str, str | None]) -> Study:
    """Return the search that the arguments ask for: CONFIG, or A B, or A B CONFIG; raises ConfigError.

    *options* are keys of the section as given on the command line, None where they were not.
    """
    from zcload.config import from_tree
    from zcload.config.overrides import read_value
    from zcload.config.source import read

    if not 1 <= len(names) <= 3:
        raise ConfigError(
            Problem(f"{len(names)} arguments: expected CONFIG, or A B, or A B CONFIG", remedy="see `zcload crossover --help`")
        )
    pair = names[:2] if len(names) > 1 else ()
    config = names[0] if len(names) == 1 else names[2] if len(names) == 3 else None
    tree: dict[str, Any] = dict(read(config).tree) if config else {"study": {"name": "crossover", "variants": list(dict.fromkeys(pair))}}
    given = {key: value for key, value in options.items() if value is not None}
    section = {**_table(tree, "crossover"), **{key: read_value(value) for key, value in given.items()}}
    if pair:
        tree["study"] = {**_table(tree, "study"), "baseline": pair[0]}
        section["contender"] = pair[1]
    if "sweep" not in section:
        raise ConfigError(Problem("what is to be swept?", key="--sweep", remedy="--sweep chunk, file_size, transfer_size, senders or rate"))
    workload = _table(tree, "workload")
    if not isinstance(workload.get(section["sweep"]), list) or {"low", "high"} & given.keys():
        workload = {key: value for key, value in workload.items() if key != section["sweep"]}  # one value of it is no axis
    if section["sweep"] == "transfer_size":
        workload.setdefault("transfer", "per-file")
    # A sweep of a study that was not written as a search: its other lists are no axis of this one, and are said to be wrong.
    tree |= {"crossover": section, "workload": workload}
    return from_tree(tree, config or "the command line", overrides)


def _table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key, {})
    return dict(found) if isinstance(found, dict) else {}
