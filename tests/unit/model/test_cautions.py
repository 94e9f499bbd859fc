"""The table of cautions and those who emit from it: codes, fields of the templates, levels."""

from __future__ import annotations

import ast
import string
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import zcload
from zcload.model.cautions import CAUTIONS, WORST_FIRST, Caution, caution, documented, level_of
from zcload.model.checks import CHECKS
from zcload.report.text.answer import cautions as shown

SOURCES = sorted(Path(zcload.__file__).parent.rglob("*.py"))


@cache
def emitters():
    """Return the calls that emit a caution, by code: where, and the names of the fields that they give."""
    found = defaultdict(list)
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", None))
            if name == "caution" and node.args and isinstance(node.args[0], ast.Constant):
                place = f"{path.name}:{node.lineno}"
                found[node.args[0].value].append((place, {keyword.arg for keyword in node.keywords}))
    return found


OF_THE_HOST = {code for code, check in CHECKS.items() if check.in_result}


@pytest.mark.parametrize("code", CAUTIONS)
def test_every_caution_is_emitted_with_its_fields(code):
    """Each line of the table is emitted somewhere, and everybody who emits it gives exactly the fields of its templates."""
    assert code in emitters() or code in OF_THE_HOST
    for place, fields in emitters()[code]:
        assert fields == CAUTIONS[code].fields(), place


def test_nothing_is_emitted_that_the_table_does_not_have():
    """Every code that the source names is in the table, and only the table's own function makes cautions of texts."""
    assert not {code for code in emitters() if code not in CAUTIONS}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Caution" and node.args:
                assert not isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}"


@pytest.mark.parametrize("code", CAUTIONS)
def test_texts_are_plain_one_liners(code):
    """Message and remedy are not empty, have no full stop or line end, and are filled in without a trace of the template."""
    kind = CAUTIONS[code]
    numbers = {
        name: 1 if spec else "x" for text in (kind.message, kind.remedy) for _, name, spec, _ in string.Formatter().parse(text) if name
    }
    made = caution(code, "chunk=4KiB: ", **numbers)
    assert made.code == code.partition(":")[0]
    assert made.message.startswith("chunk=4KiB: ")
    for text in (made.message, made.remedy):
        assert text.strip() == text
        assert not text.endswith(".")
        assert not set(text) & set("{}\n")


def test_a_missing_field_is_a_bug():
    """A field that the template names and the caller forgets is a KeyError, not a hole in the message."""
    with pytest.raises(KeyError, match="cache"):
        caution("small_file", size="1 MiB", mebibytes=4)


def test_every_code_is_documented_once():
    """Each code has one line with a meaning for the docs; second messages of a code have none of their own."""
    codes = [code for code, _ in documented()]
    assert sorted(codes) == sorted({code.partition(":")[0] for code in CAUTIONS})
    assert all(kind.meaning for _, kind in documented())
    assert not [code for code, kind in CAUTIONS.items() if ":" in code and kind.meaning]


def test_a_finding_of_the_host_says_what_it_spoils():
    """A caution about the host is made of the check's title, what was found and what that spoils, with the check's remedy."""
    check = CHECKS["background_load"]
    made = caution("background_load", found="0.58 of 2 CPUs (29%)")
    assert made == Caution("background_load", f"{check.title}: 0.58 of 2 CPUs (29%); {check.spoils}", check.remedy)


def test_the_worst_is_shown_first():
    """A report lists problems before cautions before notes, and takes a code that it does not know for a caution."""
    levels = {level_of(code) for code, _ in documented()}
    assert levels == set(WORST_FIRST)
    stored = [
        caution("resumed", times="today"),
        Caution("of_tomorrow", "new"),
        caution("clocks_disagree", lane="a", role="sender", ticked=1, exact=2),
    ]
    rows = shown({"cautions": [each.as_dict() for each in stored]})
    assert [code for code, _, _ in rows] == ["clocks_disagree", "of_tomorrow", "resumed"]
