"""A result in a notebook: its short forms and its data frame."""

from __future__ import annotations

import json
import sys
import types

import pytest
from support.paths import GOLDEN

from zcload.errors import ConfigError
from zcload.store.reader import Result


@pytest.fixture
def result():
    summary = json.loads((GOLDEN / "summary.json").read_text())
    return Result(summary)


def test_a_result_is_one_short_line(result):
    """The repr of a result says what it is and where, not all of its summary."""
    assert len(repr(result)) < 120
    assert f"{len(result.summary['points'])} point" in repr(result)
    assert "not stored" in repr(result)


def test_a_notebook_shows_the_headline(result):
    """In a notebook a result is a table of its headline comparisons, with foreign text escaped."""
    result.summary["name"] = "<script>"
    html = result._repr_html_()
    assert "<td>sendfile</td>" in html
    assert " % (" in html
    assert "<script>" not in html


@pytest.mark.parametrize(("there", "taken"), [(("pandas", "polars"), "pandas"), (("polars",), "polars")])
def test_a_result_as_a_data_frame(there, taken, result, monkeypatch):
    """`to_frame` makes the rows a data frame of pandas, of polars where there is no pandas."""
    for name in there:
        module = types.ModuleType(name)
        module.DataFrame = lambda rows, name=name: (name, rows)
        module.__spec__ = types.SimpleNamespace()
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name in there else None)
    assert result.to_frame() == (taken, result.to_rows())


def test_a_data_frame_without_its_library_says_what_to_install(result, monkeypatch):
    """Without pandas and polars `to_frame` names what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install pandas"):
        result.to_frame()
