"""The words of messages, reports and docs: phrases that a reader cannot search for or understand do not come back."""

from __future__ import annotations

import ast
import re

import pytest
from support.paths import ROOT

# Each was ours once. The docs' own examples of old output are exempt where they stand in a block of code.
FORBIDDEN = (
    "is to be seen",
    "cannot be had",
    "goes on with",
    "counts? as none",
    "a stream has none",
    "what is to be swept",
    "charged to whoever",
    "it is open whether",
    "strangers? that",
    "guests that",
    "between the sittings",
    "refuses them plainly",
    "shrugged",
)
PATTERN = re.compile("|".join(FORBIDDEN), re.IGNORECASE)
SOURCES = [path for path in sorted((ROOT / "zcload").rglob("*.py")) if not {"report", "analysis"} & set(path.relative_to(ROOT).parts)]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def texts(path):
    """Return the string literals of a module, f-strings' parts included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return " ".join(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def prose(path):
    """Return a page without its blocks of code and its indented output."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return " ".join(line for line in text.splitlines() if not line.startswith("    "))


def test_the_pattern_finds_what_it_is_for():
    """Every forbidden phrase is found in a text that has it, whatever its case."""
    for phrase in FORBIDDEN:
        assert PATTERN.search("So " + phrase.replace("?", "").upper() + " it is.")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_of_the_code_uses_a_forbidden_phrase(path):
    """No message, help text or docstring outside of the reports uses a phrase of the list."""
    assert PATTERN.findall(texts(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_uses_a_forbidden_phrase(path):
    """No page uses a phrase of the list outside of quoted output."""
    assert PATTERN.findall(prose(path)) == []
