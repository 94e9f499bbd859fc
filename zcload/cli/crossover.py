"""`zcload crossover`: make a crossover study from two names or a config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zcload.cli.study_names import COMMAND_LINE, locate
from zcload.config.overrides import Override
from zcload.errors import ConfigError, Problem
from zcload.model.printable import typed
from zcload.model.study import Study
from zcload.model.units import ValueRefused

_KEYS = {
    "--sweep": "sweep",
    "--from": "low",
    "--to": "high",
    "--precision": "precision",
    "--time": "max_time",
    "--max-time": "max_time",
}


def crossover_study(names: Sequence[str], overrides: Sequence[str], options: dict[str, str | None]) -> Study:
    """Return the search that the arguments ask for: CONFIG, or A B, or A B CONFIG; raises ConfigError.

    *options* are the values of its options, None where they were not given.
    """
    from zcload.config import from_tree
    from zcload.config.overrides import read_value

    if not 1 <= len(names) <= 3:
        raise ConfigError(
            Problem(f"{len(names)} arguments: expected CONFIG, or A B, or A B CONFIG", remedy="see `zcload crossover --help`")
        )
    pair = names[:2] if len(names) > 1 else ()
    config = names[0] if len(names) == 1 else names[2] if len(names) == 3 else None
    tree: dict[str, Any] = dict(_tree_of(config)) if config else {"study": {"name": "crossover"}}
    if not config:
        called = {name: _called(name) for name in dict.fromkeys(pair)}
        pair = [called[name] for name in pair]
        tree["study"]["variants"] = [name for name, own in called.items() if name == own]
        tree["variant"] = [{"name": own, "mechanism": name} for name, own in called.items() if name != own]
    given = {_KEYS[option]: value for option, value in options.items() if value is not None}
    section = {**_table(tree, "crossover"), **{key: read_value(value) for key, value in given.items()}}
    if pair:
        tree["study"] = {**_table(tree, "study"), "baseline": pair[0]}
        section["contender"] = pair[1]
    if "sweep" not in section:
        raise ConfigError(
            Problem("missing: the key to sweep", key="--sweep", remedy="--sweep chunk, file_size, transfer_size, senders or rate")
        )
    workload = _table(tree, "workload")
    if not isinstance(workload.get(section["sweep"]), list) or {"low", "high"} & given.keys():
        workload = {key: value for key, value in workload.items() if key != section["sweep"]}  # one value of it is no axis
    if section["sweep"] == "transfer_size":
        workload.setdefault("transfer", "per-file")
    # A sweep of a study that was not written as a search: its other lists are no axis of this one, and are said to be wrong.
    tree |= {"crossover": section, "workload": workload}
    by_option = [Override.of(option, f"crossover.{_KEYS[option]}", value) for option, value in options.items() if value is not None]
    return from_tree(tree, config or COMMAND_LINE, [*by_option, *overrides])


def _called(name: str) -> str:
    """Return what the variant of the mechanism *name* is called: a class in a file by its own name; raises ConfigError."""
    from zcload.mechanisms import mechanism_called
    from zcload.mechanisms.own_file import is_file_form

    if not is_file_form(name):
        return name
    try:
        return mechanism_called(name).name
    except ValueRefused as refused:
        raise ConfigError(Problem(refused.what, remedy=refused.remedy)) from None


def _tree_of(config: str) -> dict[str, Any]:
    from zcload.config.source import read

    path = locate(config)
    if path is None:
        raise ConfigError(
            Problem(
                f"missing: the contender to compare {config!r} with", remedy=f"zcload crossover {typed(config)} CONTENDER --sweep chunk"
            )
        )
    return read(path).tree


def _table(tree: dict[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key, {})
    return dict(found) if isinstance(found, dict) else {}
