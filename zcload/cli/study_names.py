"""What `zcload run` and `zcload crossover` accept: a file, a stored result, a shipped config's name, or names of mechanisms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from zcload.config.overrides import Override
from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.printable import typed
from zcload.model.study import Study
from zcload.model.units import ValueRefused, format_duration, parse_duration, shown

COMMAND_LINE = "the command line"  # stands for the file in problems
_LONGEST_NAME = 48  # characters, as config.sections.STUDY_NAME


def locate(name: str) -> Path | None:
    """Return the file or result that *name* means, a shipped config if there is no such file; None for the name of a mechanism.

    Raises ConfigError for a name that is none of these.
    """
    from zcload.config.registries import mechanism_names
    from zcload.config.shipped import closest_shipped, find_shipped

    path = Path(name).expanduser()
    if path.exists():
        return path
    if name in mechanism_names():
        return None
    _check_refused(name)
    shipped = find_shipped(name)
    if shipped is not None:
        return shipped
    near = _closest_mechanism(name) or closest_shipped(path.stem)
    remedy = f"did you mean {near!r}?" if near else "`zcload init --list` lists the shipped configs, `zcload mechanisms` the mechanisms"
    raise ConfigError(Problem("no such file, shipped config or mechanism", file=shown(name)[1:-1], remedy=remedy))


def _check_refused(name: str) -> None:
    """Raise ConfigError if *name* is a mechanism of an installed package that breaks the contract."""
    from zcload.mechanisms import MECHANISMS

    if (refused := MECHANISMS.refused().get(name)) is not None:
        raise ConfigError(Problem(refused.what, file=name, remedy=refused.remedy))


def _closest_mechanism(name: str) -> str | None:
    import difflib

    from zcload.config.registries import mechanism_names

    return next(iter(difflib.get_close_matches(name, mechanism_names(), n=1)), None)


def mechanisms_tree(names: Sequence[str]) -> dict[str, Any]:
    """Return the config of a study of mechanisms, the first of which is the baseline; raises ConfigError for an unknown name."""
    from zcload.config.registries import mechanism_names

    option = next((name for name in names if name.startswith("-")), None)
    if option is not None:
        raise ConfigError(Problem(f"{shown(option)} is not a mechanism", remedy="options come before --"))
    for number, name in enumerate(names):
        if name in names[:number]:
            remedy = "name each once; --set study.aa=true also runs the baseline against itself"
            raise ConfigError(Problem(f"{shown(name)} is named twice", remedy=remedy))
        if name not in mechanism_names():
            _check_refused(name)
            near = _closest_mechanism(name)
            what = "is a config: give one config, or names of mechanisms" if near is None and locate(name) else "is not a mechanism"
            remedy = f"did you mean {near!r}?" if near else "`zcload mechanisms` lists them"
            raise ConfigError(Problem(f"{shown(name)} {what}", remedy=remedy))
    variants = list(names)
    study_name = "-".join(variants)
    return {"study": {"name": study_name if len(study_name) <= _LONGEST_NAME else variants[0], "baseline": names[0], "variants": variants}}


def study_of_names(names: Sequence[str], overrides: Sequence[str]) -> Study:
    """Return the study that the arguments of `zcload run` mean: one config or result, or mechanisms; raises ConfigError."""
    from zcload import api, config

    path = locate(names[0]) if len(names) == 1 else None
    if path is not None:
        return api.study_of(path, overrides)
    return config.from_tree(mechanisms_tree(names), COMMAND_LINE, overrides)


def with_time(names: Sequence[str], overrides: Sequence[str], time: str | None) -> tuple[Study, list[str]]:
    """Return the study and all its overrides, *time* (None: as configured) being shared equally by its points; raises ConfigError.

    A search has one time for all its points already.
    """
    from zcload.config.checks.time_check import sufficient_limit_s

    study = study_of_names(names, overrides)
    if time is None:
        return study, [*overrides]
    try:
        total_ns = round(parse_duration(time) * 1e9)
    except ValueRefused as refused:
        raise ConfigError(Problem(refused.what, file="--time", remedy=refused.remedy)) from None
    key, count = ("crossover.max_time", 1) if study.crossover else ("stop.max_time", len(study.points))
    each = format_duration(max(total_ns // count, 1) / 1e9)
    overrides = [*overrides, Override.of("--time", key, each)]
    shared = study_of_names(names, overrides)
    if shared.too_short is not None and count > 1:
        remedy = f"--time {format_duration(count * sufficient_limit_s(shared))} for all {count} points"
        problem = replace(shared.too_short, what=f"shared by {count} points, {shared.too_short.what}", remedy=remedy)
        shared = replace(shared, too_short=problem)
    return shared, overrides


def save(names: Sequence[str], overrides: Sequence[str], file: Path) -> None:
    """Write the config that the arguments mean, *overrides* included, into the new *file*; raises ConfigError."""
    from zcload import api
    from zcload.config.overrides import overlay
    from zcload.config.source import SUFFIXES, read
    from zcload.config.write_toml import write_toml

    if file.suffix != ".toml":
        raise ConfigError(Problem(f"{shown(str(file))} does not end in .toml", key="--save", remedy=f"--save {file.stem}.toml"))
    path = locate(names[0]) if len(names) == 1 else None
    if path is None:
        tree: Any = mechanisms_tree(names)
    else:
        tree = read(path).tree if path.suffix in SUFFIXES else api.study_of(path).config
    text = (
        f"# Written by zcload from its command line.\n#\n#   zcload run {typed(file.name)}\n\n{write_toml(overlay(tree, overrides).tree)}"
    )
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise ConfigError(Problem(f"{file} already exists", key="--save", remedy=f"--save {file.stem}-2.toml")) from None
    except OSError as error:
        raise ConfigError(Problem(f"cannot write {file}: {reason_of(error)}", key="--save")) from None
