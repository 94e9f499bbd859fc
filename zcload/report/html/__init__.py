"""Report format `html`: one self-contained page without scripts, with charts as inline SVG, each with its table.

Without vl-convert the page has the tables and says how to get the charts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zcload.model.cautions import level_of
from zcload.model.records.summary import Summary
from zcload.report.charts import draw
from zcload.report.charts.parts import Chart
from zcload.report.charts.registry import point_charts, study_charts
from zcload.report.charts.series import read_raw
from zcload.report.charts.view import Point, View, view_of
from zcload.report.formats.brief import shared
from zcload.report.html.room import first_lines, first_rows, table_bytes
from zcload.report.tables.overview import explained, method, sections, tables
from zcload.report.tables.table import Table
from zcload.report.tables.verdicts import verdicts
from zcload.report.text import glossary
from zcload.report.text.answer import answer, beside_load, cautions
from zcload.report.text.figures import saving_text, unit_of
from zcload.report.text.headline import answer_last, covers
from zcload.report.text.question import order, question_of
from zcload.report.text.wrapping import unbroken
from zcload.store.reader import Result

DRAWINGS_BYTES = 800_000  # together with the tables and what stands around them the page stays below 1.5 MB
TABLES_BYTES = 350_000
LIST_BYTES = 36_000  # of each list that grows with the points: a table of the study, its sentences, cautions, how points were measured
PANELS = 160  # drawn at most, by rank: a page of more is not read, and each takes some 50 ms
_NARROW = 60  # characters: about what a screen of 400 px shows
_METHOD = "Variants take turns in windows; lanes are set up anew for each generation"  # what the template says of the method in any case
_HALF_PX = 650  # of plots: more do not fit beside another chart
SENTENCES = 12  # more of them are folded away behind the table of verdicts


@dataclass(slots=True)
class PageFigure:
    """A chart on the page; without *drawings* its table alone."""

    chart: Chart
    anchor: str
    drawings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PageTable:
    """A table that stands under a heading of its own."""

    heading: str
    anchor: str
    table: Table


@dataclass(slots=True)
class PageSection:
    """One point: its charts, the tables that no chart shows, how it was measured."""

    title: str
    anchor: str
    figures: list[PageFigure]
    tables: list[PageTable]


@dataclass(slots=True)
class PageStudy:
    """One result on the page."""

    summary: Summary
    anchor: str
    answer: list[str]
    lead: list[str]
    verdicts: Table | None
    figures: list[PageFigure]
    tables: list[PageTable]
    sections: list[PageSection]
    method: list[tuple[str, list[str]]]
    environment: list[tuple[str, str]]
    config: str
    cautions: list[tuple[str, str | None, list[str], int]]  # code, remedy, messages, how many there were
    problems: list[str]  # codes of cautions whose figures are not to be used
    words: list[tuple[str, str]]
    workload: str
    left_out: list[str] = field(default_factory=list)  # names of charts for which there was no room
    untold: int = 0  # points for whose tables there was none
    sentences: int = 0  # of the answer, those included for which there was none


def render(results: Sequence[Result]) -> str:
    """Render *results* on one page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    several = len(results) > 1
    studies = [_study(result, f"r{i + 1}-" if several else "", len(results)) for i, result in enumerate(results)]
    if draw.available():
        _draw(studies)
    loader = PackageLoader("zcload.report", "html")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_on_one_line
    )
    environment.filters["scrolls"] = _scrolls
    environment.tests["wide"] = lambda figure: sum(panel.spec["width"] for panel in figure.chart.panels) > _HALF_PX
    page = environment.get_template("page.html")
    style = (environment.get_template("style.css")).render()
    return page.render(studies=studies, style=style, charts=draw.available(), remedy=draw.REMEDY, sentences=SENTENCES) + "\n"


def _study(result: Result, prefix: str, shares: int) -> PageStudy:
    summary = result.summary
    view, room = view_of(summary, read_raw(result.records)), LIST_BYTES // shares
    figures = [PageFigure(_with_room(chart, room), prefix + chart.name) for chart in study_charts(view)]
    told = [(point["name"], method(summary, point)) for point in explained(summary)]
    sentences, found = answer(summary), cautions(summary)
    covered = [line] if (line := covers(summary)) else []
    study = PageStudy(
        summary,
        f"{prefix}study",
        first_lines([*sentences, *covered], room),
        [*beside_load(summary), *answer_last(summary), *covered],
        (table := _verdicts(view)) and first_rows(table, room),
        figures,
        _headed(_whole(summary, {figure.chart.table.title for figure in figures if figure.chart.table}), f"{prefix}table"),
        [],
        _first_told(told, room),
        [(name, _fact(value)) for name, value in summary["environment"].items()],
        json.dumps(summary["config"], indent=2, ensure_ascii=False),
        [(code, remedy, first_lines(messages, room // len(found)), len(messages)) for code, remedy, messages in found],
        list(dict.fromkeys(code for code, _, _ in found if level_of(code) == "problem")),
        glossary.used([_METHOD, *sentences, *covered, *(line for _, lines in told for line in lines)]),
        shared(summary),
        sentences=len(sentences) + len(covered),
    )
    room = TABLES_BYTES // shares - sum(table_bytes(figure.chart.table) for figure in figures if figure.chart.table)
    numbers = {id(point): number for number, point in view.points}
    for place, point in enumerate([] if summary.get("crossing") else summary["points"]):  # a search is told along its axis
        section = _section(view, numbers.get(id(point)), point, place, prefix)
        room -= sum(
            table_bytes(table) for table in [*(t.table for t in section.tables), *(f.chart.table for f in section.figures if f.chart.table)]
        )
        if room < 0 and place:
            study.untold = len(summary["points"]) - place
            break
        study.sections.append(section)
    return study


def _whole(summary: Mapping[str, Any], shown: set[str]) -> list[Table]:
    """Return the tables of the study as a whole that no chart shows."""
    points = {table.title for point in summary["points"] for table in tables(summary, point)}
    return [table for _, found in sections(summary) for table in found if table.title not in shown | points]


def _section(view: View, number: int | None, point: Point, place: int, prefix: str) -> PageSection:
    charts = [] if number is None else list(point_charts(view, number, point))
    shown = {chart.table.title for chart in charts if chart.table}
    several = len(view.summary["points"]) > 1
    return PageSection(
        point["name"] or ("The point" if several else "The variants"),
        f"{prefix}point-{place + 1}",
        [PageFigure(chart, prefix + chart.name) for chart in charts],
        _headed([table for table in tables(view.summary, point) if table.title not in shown], f"{prefix}point-{place + 1}-table"),
    )


def _headed(found: Sequence[Table], anchor: str) -> list[PageTable]:
    """Give each table a heading, the first clause of its title, and a place that Contents can link."""
    return [PageTable(re.split(r"[:(,?]", table.title)[0].strip(), f"{anchor}-{i + 1}", table) for i, table in enumerate(found)]


def _scrolls(table: Table, room: int = _NARROW) -> bool:
    """Say whether a table is wider than *room* characters, a small screen: it becomes a tab stop, and says that it scrolls."""
    columns = zip(*([table.headers, *table.rows]), strict=False)
    return sum(max(len(line) for cell in column for line in cell.split("\n")) + 3 for column in columns) > room


def _on_one_line(value: object) -> object:
    """Keep figures with their units in what the template shows; what is markup already stays as it is."""
    return unbroken(value) if type(value) is str else value


def _with_room(chart: Chart, room: int) -> Chart:
    """Return *chart* with a table that fits into *room* bytes."""
    return replace(chart, table=first_rows(chart.table, room)) if chart.table else chart


def _first_told(told: Sequence[tuple[str, list[str]]], room: int) -> list[tuple[str, list[str]]]:
    """Return how the first points were measured, as many as fit into *room* bytes, and how many more there are."""
    kept = list[tuple[str, list[str]]]()
    for name, lines in told:
        room -= sum(map(len, lines))
        if room < 0 and kept:
            return [*kept, (f"{len(told) - len(kept)} more points", ["zcload report RESULT --full prints how they were measured."])]
        kept.append((name, lines))
    return kept


def _verdicts(view: View) -> Table | None:
    """Return what each contender saves, with its verdict: of one point a row a variant, of several a row a point; None of a search."""
    if not view.points or view.summary.get("crossing"):
        return None  # a search has its own verdicts, in the table of its chart
    if not view.several:
        table = verdicts(view.summary)
        point = view.points[0][1]
        title = (
            f"What each variant saves of {question_of(view.summary, point).whose} CPU per {unit_of(point).name} against {point['baseline']}"
        )
        return table and _verdict_early(replace(table, title=title))
    questions = [question_of(view.summary, point) for _, point in view.points]
    found = {
        (c["variant"], step): c
        for step, (_, point) in enumerate(view.points)
        for c in point["comparisons"]
        if c["metric"] == questions[step].metric and not c["aa"]
    }
    place = order(view.points[0][1])
    names = sorted(dict.fromkeys(name for name, _ in found), key=place)

    def cell(name: str, step: int) -> str:
        c = found.get((name, step))
        return f"{c['verdict']}: {saving_text(c['saving_percent'])}" if c and c["verdict"] else "-"

    rows = [[label, *(cell(name, step) for name in names)] for step, label in enumerate(view.labels)]
    unit, baseline = unit_of(view.points[0][1]).name, view.points[0][1]["baseline"]
    title = f"Verdicts on {questions[0].whose} CPU per {unit} against {baseline}, with what is saved and its 95 % interval"
    return Table(title, [view.swept, *names], rows) if names else None


def _verdict_early(table: Table) -> Table:
    """Put the last column, the verdict, behind the saving: a small screen shows the first three."""
    headers, *rows = ([row[0], row[1], row[-1], *row[2:-1]] for row in (table.headers, *table.rows))
    return replace(table, headers=headers, rows=rows)


def _fact(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _draw(studies: Sequence[PageStudy]) -> None:
    """Draw the charts of all *studies* at once, those of the studies first, then by rank within their points, while there is room."""
    ranked: list[tuple[int, PageStudy, PageFigure]] = [(0, study, figure) for study in studies for figure in study.figures]
    for study in studies:
        ranked += [(1 + rank, study, figure) for section in study.sections for rank, figure in enumerate(section.figures)]
    ranked.sort(key=lambda each: each[0])  # stable: points stay in order
    chosen: list[tuple[PageStudy, PageFigure]] = []
    panels = 0
    for _, study, figure in ranked:
        panels += len(figure.chart.panels)
        if panels > PANELS:
            study.left_out.append(figure.chart.name)
        else:
            chosen.append((study, figure))
    drawings = iter(draw.svg([draw.framed(panel.spec) for _, figure in chosen for panel in figure.chart.panels]))
    room = DRAWINGS_BYTES
    for study, figure in chosen:
        mine = [next(drawings) for _ in figure.chart.panels]
        size = sum(len(drawing.encode()) for drawing in mine)
        if size > room:
            study.left_out.append(figure.chart.name)
            continue
        room -= size
        figure.drawings = mine
