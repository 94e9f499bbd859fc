"""Where lines may break: at spaces, but not within a figure."""

from __future__ import annotations

import re

import pytest
from support.fake_results import example_summary

from zcload.report import renderer
from zcload.report.text.wrapping import NO_BREAK, unbroken, wrapped
from zcload.store.reader import Result

FIGURES = (
    "34 %",
    "-3.2 % (-8.5..1.6)",
    "+102 % (83..124)",
    "1.6 Gbit/s",
    "0.47 s/GB",
    "256 MiB",
    "40..53 ms",
    "2 CPUs",
    "0.211 cores",
    "18 replicates",
)


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_stays_with_its_unit(figure):
    """However narrow a terminal or a window is, a figure, its unit and its interval stay on one line."""
    line = f"the sender needs {figure}; and 7 more things are told of it, however long it takes."
    assert all(any(figure in part for part in wrapped(line, width)) for width in range(20, 90))
    assert unbroken(figure) == figure.replace(" ", NO_BREAK)
    assert " ".join(part.strip() for part in wrapped(line, 30)) == line


def test_what_is_no_figure_may_break():
    """Words, commands and counts without a unit are left as they are: what is copied from a page is what is typed."""
    for text in ("3815 system calls", "zcload run --time 20s --chunk 64KiB", "2 of 18 ratios", "kernel 6.18 minutes"):
        assert unbroken(text) == text


@pytest.mark.parametrize("name", ["markdown", "html"])
def test_pages_and_comments_keep_figures_whole(name):
    """In formats whose lines the reader's window breaks, each saving has no-break spaces; the config to copy has none."""
    text = re.sub(r"<svg.*?</svg>", "", renderer(name)([Result(example_summary())]), flags=re.DOTALL)
    assert f"30{NO_BREAK}%{NO_BREAK}(29..31)" in text
    assert "30 % (29..31)" not in text
    assert NO_BREAK not in text.rpartition("<pre")[2].partition("</pre>")[0] or name == "markdown"
