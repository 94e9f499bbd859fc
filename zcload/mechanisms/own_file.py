"""Mechanisms that are not zcload's: a class in a file, "FILE.py:Class", and classes of installed packages (entry points).

A config keeps a file's mechanism by its path, so every process of a run loads it from there.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Collection, Container
from types import ModuleType

from zcload.errors import reason_of
from zcload.mechanisms.base import Mechanism
from zcload.mechanisms.own_contract import check_class, one_line
from zcload.model.units import ValueRefused

GROUP = "zcload.mechanisms"  # the entry point group
FILE_FORM = r".+\.py(:[A-Za-z_][A-Za-z0-9_]*)?"  # how a config names a mechanism in a file

_loaded: dict[str, type[Mechanism]] = {}


def is_file_form(name: str) -> bool:
    """Return whether *name* means a class in a file and not a registered mechanism."""
    return re.fullmatch(FILE_FORM, name) is not None


def load_file(name: str, taken: Container[str]) -> tuple[str, type[Mechanism]]:
    """Return "FILE.py:Class" with its absolute path, and the class; raises ValueRefused if it breaks the contract of a mechanism.

    Without ":Class" it is the only mechanism that the file defines.
    """
    path, _, wanted = name.partition(".py:") if ".py:" in name else (name.removesuffix(".py"), "", "")
    path = os.path.abspath(os.path.expanduser(f"{path}.py"))
    known = _loaded.get(f"{path}:{wanted}")
    if known is not None:
        return f"{path}:{wanted}", known
    module = _module(path)
    own = {
        key: each
        for key, each in vars(module).items()
        if isinstance(each, type) and issubclass(each, Mechanism) and each.__module__ == module.__name__
    }
    if not wanted and len(own) == 1:
        wanted = next(iter(own))
    if not wanted or not hasattr(module, wanted):
        what = f"{path} has no class {wanted!r}" if wanted else f"{path} defines {len(own)} mechanisms"
        remedy = f"write {path}:{min(own)}" if own else "define a class in it that derives from zcload.mechanisms.base.Mechanism"
        raise ValueRefused(what, remedy)
    try:
        cls = check_class(getattr(module, wanted), taken)
    except ValueRefused as refused:
        raise ValueRefused(f"{path}: {refused.what}", refused.remedy) from None
    return f"{path}:{wanted}", _loaded.setdefault(f"{path}:{wanted}", cls)


def _module(path: str) -> ModuleType:
    """Run the file *path* as a module; raises ValueRefused with the line where it fails."""
    name = f"zcload_own_{re.sub(r'[^0-9A-Za-z_]', '_', path)}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueRefused(_failure(path, error), "`zcload init --mechanism my_send.py` writes one that works") from None
    return module


def _failure(path: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.filename == path:
        return f"{path}: {reason_of(error)}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    what = error.msg if isinstance(error, SyntaxError) else one_line(error)
    return f"{path}{f':{line}' if line else ''}: cannot be loaded: {type(error).__name__}: {what}"


def installed(taken: Collection[str]) -> tuple[dict[str, type[Mechanism]], dict[str, ValueRefused]]:
    """Return the mechanisms of installed packages by name, and those that break the contract with the rule they break.

    A broken package must not keep zcload from starting: its mechanism is refused where it is named.
    """
    from importlib.metadata import entry_points

    found: dict[str, type[Mechanism]] = {}
    refused: dict[str, ValueRefused] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        package = point.dist.name if point.dist else point.value
        try:
            cls = check_class(point.load(), {*taken, *found})
            if cls.name != point.name:
                raise ValueRefused(f"the entry point {point.name!r} leads to {cls.name!r}", f"call the entry point {cls.name!r}")
            found[cls.name] = cls
        except ValueRefused as broken:
            refused[point.name] = ValueRefused(f"the package {package}: {broken.what}", broken.remedy)
        except Exception as error:
            what = f"the package {package} cannot be loaded: {type(error).__name__}: {one_line(error)}"
            refused[point.name] = ValueRefused(what, f"update or uninstall {package}")
    return found, refused
