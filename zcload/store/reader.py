"""Read a result directory: windows.jsonl as raw records, and summary.json.

A crash or a kill -9 loses at most the line being written; every reader here takes a torn last line as the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zcload.errors import ConfigError, Problem, reason_of
from zcload.model.metrics import TOTAL_CPU_S_PER_GB
from zcload.model.records.lines import Line
from zcload.model.records.summary import ComparisonRecord, Summary
from zcload.model.units import counted
from zcload.store.codec import decode_summary
from zcload.store.encoding import SUMMARY as SUMMARY
from zcload.store.encoding import WINDOWS as WINDOWS
from zcload.store.stored_lines import StoredRecords as StoredRecords
from zcload.store.stored_lines import each_record as each_record
from zcload.store.stored_lines import lines_of
from zcload.store.stored_lines import read_header as read_header
from zcload.store.stored_lines import read_records as read_records


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """A result: its *summary*, where it is, and its raw *records*, which are read only when they are iterated.

    *directory* is None for a result that was never stored or whose summary.json was given alone; without a windows.jsonl *records*
    is empty, so that `if result.records` says whether there are any.
    """

    summary: Summary
    directory: Path | None = None
    records: Iterable[Line] = ()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Result:
        """Read a result: its directory, or one of its two files. The summary is derived from the windows where it is missing.

        A summary.json or a windows.jsonl that is named stands for what it says itself. Raises ConfigError.
        """
        place = Path(path)
        directory = place if place.is_dir() else place.parent if place.name in (SUMMARY, WINDOWS) else None
        windows = place if place.suffix == ".jsonl" else directory / WINDOWS if directory else None
        records = StoredRecords(windows) if windows and windows.exists() else ()
        return cls(_summary_of(place), directory, records)

    @property
    def failed(self) -> list[str]:
        """The reasons of lanes that failed while the run went on, each beginning with its point and variant."""
        return [
            ": ".join(filter(None, (point["name"], variant["name"], variant["reason"])))
            for point in self.summary["points"]
            for variant in point["variants"]
            if variant["status"] == "failed"
        ]

    def __repr__(self) -> str:
        """Return one line: what was studied, how much was measured, and where it is."""
        state = "complete" if self.summary["complete"] else "partial"
        where = "not stored" if self.directory is None else str(self.directory)
        return f"<zcload.Result {self.summary['name']!r}: {counted(len(self.summary['points']), 'point')}, {state}, {where}>"

    def _repr_html_(self) -> str:
        """Return the headline comparisons as a table, for notebooks."""
        import html

        cells = [
            (point["name"] or "the only point", each["variant"], each["verdict"] or "", _saving(each))
            for point in self.summary["points"]
            for each in point["comparisons"]
            if each["metric"] == self.summary.get("headline", TOTAL_CPU_S_PER_GB)
        ]
        head = "".join(f"<th>{title}</th>" for title in ("point", "variant", "verdict", "CPU saved"))
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in cells)
        return f"<p>{html.escape(repr(self))}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def to_frame(self, of: Literal["metrics", "generations", "windows"] = "metrics") -> Any:
        """Return the rows of `to_rows` as a data frame of pandas, or of polars where pandas is not installed; raises ConfigError."""
        from importlib import import_module
        from importlib.util import find_spec

        for name in ("pandas", "polars"):
            if find_spec(name) is not None:
                return import_module(name).DataFrame(self.to_rows(of))
        raise ConfigError(Problem("a data frame needs pandas or polars", remedy="pip install pandas"))

    def to_rows(self, of: Literal["metrics", "generations", "windows"] = "metrics") -> list[dict[str, str | int | float | bool | None]]:
        """Return the result as tidy rows, for a data frame: one for each point, variant and metric; generation; or window.

        Rows of generations and windows come from the records: there are none without a windows.jsonl. docs/python-api.md has the columns.
        """
        from zcload.analysis import tidy

        if of == "metrics":
            return list(tidy.metric_rows(self.summary))
        return list((tidy.generation_rows if of == "generations" else tidy.window_rows)(self.records))


def _saving(comparison: ComparisonRecord) -> str:
    saving = comparison["saving_percent"]
    if saving["estimate"] is None:
        return str(comparison.get("reason") or "no figure")
    interval = "" if saving["low"] is None else f" ({saving['low']:.1f}..{saving['high']:.1f})"
    return f"{saving['estimate']:.1f} %{interval}"


def _summary_of(result: Path) -> Summary:
    if result.is_dir():
        if (result / SUMMARY).exists():
            return _read_summary(result / SUMMARY)
        if not (result / WINDOWS).exists():
            raise ConfigError(Problem(f"holds neither {SUMMARY} nor {WINDOWS}: it is not a result", file=str(result)))
        result = result / WINDOWS
    if not result.exists():
        raise ConfigError(Problem("no such file or directory", file=str(result)))
    if result.suffix == ".jsonl":
        from zcload.store.summarise_file import summarise_file

        return summarise_file(result)
    return _read_summary(result)


def _read_summary(path: Path) -> Summary:
    try:
        return decode_summary(b"".join(lines_of(path)), path)
    except OSError as error:
        raise ConfigError(Problem(reason_of(error), file=str(path))) from None
