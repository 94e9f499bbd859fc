"""The parts of docs/ that are made from the code. They are golden: `make test ARGS=--rewrite-golden` writes them anew."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from support.paths import ROOT

import zcload
from zcload.model.cautions import documented
from zcload.model.checks import CHECKS

PACKAGE = Path(zcload.__file__).parent


def _table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def cautions() -> str:
    """Return the table of cautions; what depends on the run is "..." in a remedy."""
    rows = [(f"`{code}`", kind.level, kind.meaning, re.sub(r"\{[^}]*\}", "...", kind.remedy)) for code, kind in documented()]
    return _table(("code", "level", "what it means", "what to do"), rows)


def checks() -> str:
    """Return the table of the host checks."""
    rows = [
        (f"`{code}`", check.looks_at, ", ".join(check.levels), check.spoils, check.remedy, "yes" if check.in_result else "")
        for code, check in CHECKS.items()
    ]
    return _table(("check", "what it looks at", "levels beside ok", "what a bad finding spoils", "remedy", "in results"), rows)


def code_map() -> str:
    """Return the first line of each package's and module's docstring; an `__init__.py` stands for its package."""
    rows = []
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)):
        name = path.relative_to(PACKAGE.parent)
        place = f"{name.parent}/" if path.name == "__init__.py" else str(name)
        rows.append((f"`{place}`", first_line(ast.parse(path.read_text(encoding="utf-8")))))
    return _table(("file", "what is in it"), rows)


def first_line(tree: ast.Module) -> str:
    """Return the first line of a module's docstring without its full stop."""
    return (ast.get_docstring(tree) or "").partition("\n")[0].removesuffix(".")


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/metrics.md": {"cautions": cautions, "checks": checks},
    "docs/design.md": {"code map": code_map},
}


def made_from_code(page: str) -> str:
    """Return the text of *page* with its made parts as the code says them now; each stands between two marks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name, make in PARTS[page].items():
        begin, end = f"<!-- {name}: made from the code, see --rewrite-golden -->\n", f"<!-- end of {name} -->\n"
        before, _, rest = text.partition(begin)
        _, there, after = rest.partition(end)
        assert there, f"{page}: the lines {begin!r} and {end!r} are missing"
        text = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return text
