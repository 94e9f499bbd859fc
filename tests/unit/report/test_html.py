"""The page: one file that loads nothing, whose tables are the summary's figures, with a name for everything one cannot see."""

from __future__ import annotations

import copy
import itertools
import re

import pytest
from support.fake_results import example, example_summary
from support.pages import Page, small_files, stored, sweep

from zcload.analysis.summary import summarise
from zcload.report import html
from zcload.report.charts import draw
from zcload.report.html import render
from zcload.report.html.room import first_lines, table_bytes
from zcload.report.tables.overview import tables
from zcload.report.text.answer import answer, beside_load
from zcload.report.text.headline import answer_last
from zcload.store.reader import Result as Stored

needs_library = pytest.mark.skipif(not draw.available(), reason=f"vl-convert-python is not installed: {draw.REMEDY}")
LIMIT_BYTES = 1_500_000


@pytest.fixture(scope="module")
def page():
    """Return the page of the example study, with charts where the library is."""
    return render([stored(example(everything=False))])


# One file, and nothing else.


@pytest.mark.parametrize("library", [False, pytest.param(True, marks=needs_library)])
def test_the_page_loads_nothing(library, monkeypatch):
    """No element of the page names an address to load from, no style imports one, there is no script, and a policy forbids all of it."""
    monkeypatch.setattr(draw, "available", lambda: library)
    text = render([stored(example(everything=False))])
    found = Page(text)
    for tag, attributes in found.elements:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form"), tag
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("src", "href", "xlink:href", "data", "action", "srcset", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert not re.search(r"@import|url\(|javascript:", text)
    assert set(re.findall(r"https?://[^\"' <>]+", text)) <= {draw.SVG}
    (policy,) = [meta["content"] for meta in found.every("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_links_within_the_page_lead_somewhere(page):
    """Every link and every use of a mark leads to an element of the page, and no two elements have one name."""
    found = Page(page)
    names = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(names) == len(set(names))
    targets = {attributes["href"][1:] for tag, attributes in found.elements if tag in ("a", "use")}
    assert targets
    assert targets <= set(names)


# What it says.


def test_the_page_says_all_that_the_summary_says(page):
    """The answer's sentences, the cautions with their remedies, and how it was measured are all there, the answer first."""
    summary = example_summary(everything=False)
    text = Page(page).text
    for line in [*answer(summary), *(part for c in summary["cautions"] for part in (c["code"], c["message"], c["remedy"]) if part)]:
        assert " ".join(line.split()) in text
    assert "6 generations, 14 blocks" in text
    order = [
        text.index(word)
        for word in (
            "The answer",
            answer(summary)[0],
            "small_file",
            "Contents",
            "CPU seconds for 10^9 bytes",
            "right of zero is cheaper",
            "CPU cores busy",
            "HZ 250",
        )
    ]
    assert order == sorted(order)


def test_tables_are_the_reports_tables(page):
    """Every table of the report stands on the page, cell by cell as in the other formats."""
    summary = example_summary(everything=False)
    found = {table["caption"]: table for table in Page(page).tables}
    for table in tables(summary, summary["points"][0]):
        assert found[table.title]["head"] == table.headers
        assert found[table.title]["rows"] == table.rows


@needs_library
def test_every_chart_is_drawn_and_has_its_table(page):
    """Each figure has at least one drawing with a name, and its table below."""
    found = Page(page)
    figures = page.split("<figure")[1:]
    assert len(figures) == 6
    for figure in figures:
        body = figure.partition("</figure>")[0]
        assert "<svg" in body
        assert "<table" in body
    drawings = [attributes for _, attributes in found.elements if attributes.get("role") == "img"]
    assert len(drawings) == page.count("<svg")
    assert len({drawing["aria-label"] for drawing in drawings}) == len(drawings)


def test_tables_have_captions_and_scopes(page):
    """Each table has a caption and heads that say what they head; a wide one scrolls by keyboard and says so, others are no tab stop."""
    found = Page(page)
    assert len(found.tables) == len([table for table in found.tables if table["caption"]])
    assert all(attributes.get("scope") in ("col", "row") for attributes in found.every("th"))
    frames = [attributes for attributes in found.every("div") if attributes.get("class", "").startswith("scroll")]
    assert len(frames) == len(found.tables)
    assert all(frame["aria-label"] for frame in frames)
    wide = [frame for frame in frames if "wide" in frame["class"]]
    assert 0 < len(wide) < len(frames)
    assert [frame for frame in frames if "tabindex" in frame] == wide
    assert found.text.count("scroll sideways") == len(wide)


def test_every_table_is_headed_and_in_contents(page):
    """A table stands under a heading, in a figure or a section of its own, that Contents links; so do the words and the method."""
    contents = page.partition('<nav aria-label="Contents">')[2].partition("</nav>")[0]
    linked = set(re.findall(r'href="#([^"]+)"', contents))
    places = re.findall(r'<(?:figure|section|div) id="([^"]+)"[^>]*>(?:(?!<figure|<section|<div id).)*?<table>', page, re.DOTALL)
    assert len(places) >= 8
    assert set(places) <= linked | {"study-answer"}
    assert {"study-method", "study-words"} <= linked


def test_the_page_explains_its_words(page):
    """Lane, generation and ledger are explained where they stand and in the list of words; the first link skips to the answer."""
    found = Page(page)
    assert len(found.every("abbr")) == 3
    assert all(f"<dt>{word}</dt>" in page for word in ("lane", "generation", "ledger"))
    assert found.every("a")[0] == {"class": "skip", "href": "#study-answer"}


def test_the_page_begins_with_the_workload(page):
    """Below its name a page says what was sent and over what, as the short report's first line does."""
    assert "loopback, 1 sender, chunk 256KiB, file 256 MiB (warm)" in Page(page).text.partition("The answer")[0]


def test_cautions_are_one_line_that_opens(page):
    """All cautions stand in one closed element whose line says how many there are and which."""
    line = re.search(r'<details class="cautions"><summary>([^<]*)</summary>', page)
    assert line
    assert re.fullmatch(r"\d+ cautions?: [a-z_, ]+\. The figures may be quoted, within these limits\.", line[1])


def test_the_page_is_fit_for_phones_dark_rooms_and_paper(page):
    """The page has a language, a title, a viewport, colours for dark mode and rules for print; its headings leave no level out."""
    found = Page(page)
    assert found.every("html") == [{"lang": "en"}]
    assert "example: zcload report" in found.text
    assert any(meta.get("name") == "viewport" for meta in found.every("meta"))
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_colours_of_the_page_and_of_files_have_the_same_names():
    """Every colour that a drawing names is in the page's style, light and dark; the light ones are those of files."""
    from importlib.resources import files

    light, dark = files(html).joinpath("style.css").read_text().split("@media screen", 1)
    for name, value in draw.LIGHT.items():
        assert f"--{name}: {value};" in light
        assert f"--{name}: #" in dark


# What it must bear.


def test_names_that_are_markup_stay_text():
    """Names, reasons and the config come from files of strangers: on the page they are text, in attributes too."""
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    records = copy.deepcopy(example(everything=False))
    records[0]["name"] = evil
    records[0]["config"] = {"study": {"name": evil}}
    records[0]["environment"]["cpu_model"] = evil
    records[0]["points"][0]["lanes"][2]["name"] = evil
    for record in records[1:]:
        for key in ("lane", "variant"):
            if record.get(key) == "sendfile":
                record[key] = evil
        if "sendfile" in record.get("lanes", ()):
            record["lanes"][evil] = record["lanes"].pop("sendfile")
        if record["kind"] == "skipped":
            record["reason"] = evil
    found = Page(render([stored(records)]))
    assert not found.every("script")
    assert not found.every("img")
    assert found.text.count("<script>alert(1)</script>") > 5


def test_without_the_library_the_page_says_what_to_install(monkeypatch):
    """Without vl-convert the page has every table, no drawing, and the command that installs what draws."""
    monkeypatch.setattr(draw, "available", lambda: False)
    found = Page(render([stored(example(everything=False))]))
    assert draw.REMEDY in found.text
    assert not found.every("svg")
    assert len(found.tables) >= 6


@pytest.mark.parametrize("length", [1, 4, 40, 150])
def test_what_a_kill_left_behind_is_a_page(length, monkeypatch):
    """A result that ends anywhere is a whole page that says it is partial, with no figure that is none."""
    monkeypatch.setattr(draw, "available", lambda: False)
    found = Page(render([stored(example()[:length])]))
    assert "(partial result)" in found.text
    assert not re.search(r"\b(nan|inf|None)\b", found.text)


def test_a_page_of_several_results(monkeypatch):
    """Several results stand on one page, each under its name, and no two elements share one."""
    monkeypatch.setattr(draw, "available", lambda: False)
    found = Page(render([stored(example(everything=False)), stored(sweep(2, ("copy", "sendfile")))]))
    assert len(found.every("article")) == 2
    names = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(names) == len(set(names))


def test_the_page_says_whether_to_quote_and_how_to_repeat():
    """The line of the cautions says which of them forbid to quote a figure; the page says what its intervals cover and how to repeat it."""
    result = stored(example(everything=False))
    result.summary["cautions"] = [{"code": "few_generations", "message": "only 3", "remedy": None}]
    fine = Page(render([result])).text
    assert "1 caution: few_generations. The figures may be quoted, within these limits." in fine
    assert "The 95 % intervals cover " in fine.split("Cautions")[0]
    assert "zcload run RESULT_DIR measures the same again" in fine
    result.summary["cautions"].append({"code": "loaded", "message": "other work ran", "remedy": None})
    assert "2 cautions: loaded, few_generations. Do not quote the figures named under loaded." in Page(render([result])).text


def test_a_sweep_begins_with_its_verdicts(monkeypatch):
    """With several points a table of verdicts stands first, a row a point, a column a contender."""
    monkeypatch.setattr(draw, "available", lambda: False)
    found = Page(render([stored(sweep(3, ("copy", "sendfile", "splice")))]))
    assert found.tables[0]["head"] == ["chunk", "sendfile", "splice"]
    assert [row[0] for row in found.tables[0]["rows"]] == ["1KiB", "2KiB", "4KiB"]
    assert all(
        cell.startswith(("saves: ", "costs: ", "inconclusive: ", "no difference: ")) for row in found.tables[0]["rows"] for cell in row[1:]
    )


@pytest.mark.parametrize("points", [1, 2])
def test_small_files_are_told_per_file(points, monkeypatch):
    """The table of verdicts of small files is of CPU per file, as the sentences beside it are."""
    monkeypatch.setattr(draw, "available", lambda: False)
    caption = Page(render([stored(small_files(sweep(points, ("copy", "sendfile"))))])).tables[0]["caption"]
    assert " CPU per file against copy" in caption


def test_a_long_answer_is_led_by_the_short_one():
    """Where the sentences are folded away, those of the short report stand before them, what spoils the result first."""
    records = sweep(5, ("copy", "sendfile", "splice", "mmap"))
    result = stored(records)
    result.summary["points"][0].update(loaded=True, foreign_share=0.5)
    page = Page(render([result]))
    lead = [*beside_load(result.summary), *answer_last(result.summary)]
    assert len(lead) > 2
    assert " ".join(" ".join(lead).split()) in " ".join(page.text.split("All of it in ")[0].split())


def test_cautions_of_several_points_are_put_together(monkeypatch):
    """What is said of several points with one remedy is one item, its remedy told once."""
    monkeypatch.setattr(draw, "available", lambda: False)
    records = sweep(3, ("copy", "sendfile"))
    summary = summarise(records) | {"cautions": [{"code": "quota", "message": f"at {i}", "remedy": "lift it"} for i in range(3)]}
    text = Page(render([Stored(summary, records=records)])).text
    assert text.count("lift it") == 1
    assert all(f"at {i}" in text for i in range(3))


@pytest.mark.slow
@needs_library
@pytest.mark.parametrize(("points", "variants"), [(1, 2), (10, 14)])
def test_the_page_stays_small(points, variants):
    """From one point and two variants to ten points and fourteen the page is below 1.5 MB, and every point has its section."""
    text = render([stored(sweep(points, [f"variant-{i}" for i in range(variants)]))])
    assert len(text.encode()) < LIMIT_BYTES
    assert len([a for a in Page(text).every("section") if a.get("class") == "point"]) == points


@needs_library
def test_what_has_no_room_is_named(monkeypatch):
    """Charts and tables beyond the page's room are left out by rule, named, and the command that gives them stands there."""
    monkeypatch.setattr(html, "PANELS", 12)
    monkeypatch.setattr(html, "TABLES_BYTES", 6000)
    found = Page(render([stored(sweep(6, ("copy", "sendfile")))]))
    assert len([a for _, a in found.elements if a.get("role") == "img"]) <= 12
    assert re.search(r"charts are left out to keep this page small.*windows-1", found.text)
    assert "The tables of the last" in found.text


def test_lists_that_grow_with_the_points_are_cut_and_said_so(monkeypatch):
    """Sentences, cautions, tables of the study and how points were measured have a room each: the first stand there, and how many more."""
    monkeypatch.setattr(html, "LIST_BYTES", 400)
    monkeypatch.setattr(html, "SENTENCES", 2)
    monkeypatch.setattr(draw, "available", lambda: False)
    records = sweep(6, ("copy", "sendfile"))
    summary = summarise(records) | {"cautions": [{"code": "quota", "message": f"at {i:030}", "remedy": "lift it"} for i in range(30)]}
    study = html._study(Stored(summary, records=records), "", 1)
    assert study.verdicts.rows[-1][0] == f"and {6 + 1 - len(study.verdicts.rows)} more"
    (caution,) = study.cautions
    assert caution[3] == 30
    assert caution[2][-1] == f"and {30 + 1 - len(caution[2])} more: zcload report RESULT --full prints them"
    text = Page(render([Stored(summary, records=records)])).text
    assert f"The first {len(study.answer) - 1} of {study.sentences} sentences" in text
    assert "30 times" in text
    assert study.figures
    for figure in study.figures:
        assert table_bytes(figure.chart.table) < 400 + 200  # one row of the first, and the one that says how many more


@pytest.mark.parametrize(("room", "shown"), [(0, 2), (69, 2), (70, 3), (105, 4), (140, 4)])
def test_a_list_that_is_cut_is_shorter(room, shown):
    """A line says how many more there are only where it stands for two or more: "1 more" would take the room of that one."""
    lines = ["first line.", "other line.", "third line.", "fourth one."]  # 35 bytes each
    cut = first_lines(lines, room)
    assert len(cut) == shown
    assert (cut == lines) == (shown == len(lines))


@needs_library
def test_many_windows_are_thinned_and_said_so():
    """Of thousands of windows so many are drawn as can be told apart, and the page says how many of how many."""
    text = render([stored(sweep(1, ("copy", "sendfile"), generations=2, blocks=1200))])
    assert "900 of 4800 windows are drawn" in Page(text).text
    assert len(text.encode()) < LIMIT_BYTES / 3
