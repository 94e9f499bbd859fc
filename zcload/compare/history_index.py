"""An SQLite index of the results below a directory. A file is read again only when it has changed.

It lies in the user's cache, not in the tree, which may be read-only or shared; where no cache can be written it lives in memory. It holds
nothing that the results do not: it can be deleted at any time, and one that is damaged or of another version is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from zcload.errors import ConfigError, Problem, ZcloadError
from zcload.model.printable import one_line, printable
from zcload.model.records.summary import Summary
from zcload.model.records.values import IntervalRecord
from zcload.store.reader import SUMMARY, WINDOWS, Result

VERSION = 2  # of the tables; another one is made anew
_TABLES = """
CREATE TABLE results (
    path TEXT PRIMARY KEY, mtime_ns INTEGER, size INTEGER, error TEXT,
    study TEXT, started TEXT, seed INTEGER, kernel TEXT, cpu TEXT, zcload TEXT, complete INTEGER, headline TEXT, points INTEGER
);
CREATE TABLE points (number INTEGER PRIMARY KEY, path TEXT, point TEXT, setting TEXT);
CREATE TABLE figures (point INTEGER, variant TEXT, metric TEXT, baseline TEXT, estimate REAL, low REAL, high REAL);
CREATE INDEX points_of ON points (path);
CREATE INDEX figures_of ON figures (metric, point);
CREATE INDEX figures_at ON figures (point);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One result of the tree: *path* below its root; with *error* it could not be read, and the rest is empty."""

    path: str
    error: str | None
    study: str = ""
    started: str = ""
    kernel: str = ""
    cpu: str = ""
    zcload: str = ""
    complete: bool = False
    headline: str = ""
    points: int = 0


@dataclass(frozen=True, slots=True)
class HistoryFigure:
    """One figure of one result. *baseline* names what it is relative to, None: the figure itself; *setting* is the point's, as JSON."""

    entry: Entry
    point: str
    setting: str
    variant: str
    metric: str
    baseline: str | None
    estimate: float
    low: float
    high: float


_Point = tuple[str, str, list[tuple[object, ...]]]  # its name, its setting as JSON, its figures


class Index:
    """The results below *root*, as the tree is now."""

    def __init__(self, root: Path, *, rebuild: bool = False, cache: Path | None = None) -> None:
        """Open the index of *root* and bring it up to date; raises ConfigError if *root* is no directory."""
        if not root.is_dir():
            what = "is not a directory" if root.exists() else "no such directory"
            raise ConfigError(Problem(what, file=str(root), remedy="zcload history DIR, where results are stored"))
        self._root, self._cache = root, cache
        self._database = _open(cache, root, rebuild)
        try:
            self._update()
        except sqlite3.Error:  # damaged, or locked by another for too long: it is only a cache
            self._database.close()
            self._database = _memory()
            self._update()

    def close(self) -> None:
        self._database.close()

    def _update(self) -> None:
        # SQLite stores only UTF-8, and a file name may be any bytes.
        root = str(self._root)
        found = {printable(path[len(root) :].lstrip("/")): path for path in _files(root)}
        with self._database as db:
            known = {path: (mtime, size) for path, mtime, size in db.execute("SELECT path, mtime_ns, size FROM results")}
            for path in known.keys() - found.keys():
                self._forget(path)
            for name, path in found.items():
                try:
                    stat = os.stat(path)
                    now = (stat.st_mtime_ns, stat.st_size)
                except OSError:
                    now = (0, 0)
                if known.get(name) != now or not now[1]:
                    if name in known:
                        self._forget(name)
                    self._read(name, Path(path), now)

    def _forget(self, name: str) -> None:
        self._database.execute("DELETE FROM figures WHERE point IN (SELECT number FROM points WHERE path = ?)", (name,))
        for table in ("results", "points"):
            self._database.execute(f"DELETE FROM {table} WHERE path = ?", (name,))

    def _read(self, name: str, path: Path, now: tuple[int, int]) -> None:
        try:
            self._store(name, now, *_of(Result.load(path).summary))
        except ZcloadError as error:
            self._store(name, now, {"error": _one_line(str(error), path)}, [])
        # A file of our name with somebody else's content: of whatever kind, it must not end the list of the others.
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
            self._forget(name)
            self._store(name, now, {"error": one_line(f"is damaged: {type(error).__name__}: {error}")}, [])

    def _store(self, name: str, now: tuple[int, int], row: Mapping[str, object], points: Iterable[_Point]) -> None:
        row = {"path": name, "mtime_ns": now[0], "size": now[1], **row}
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self._database.execute(f"INSERT INTO results ({columns}) VALUES ({marks})", tuple(row.values()))
        for point, setting, figures in points:
            number = self._database.execute("INSERT INTO points (path, point, setting) VALUES (?, ?, ?)", (name, point, setting)).lastrowid
            self._database.executemany("INSERT INTO figures VALUES (?, ?, ?, ?, ?, ?, ?)", ((number, *figure) for figure in figures))

    def entries(self, study: str | None = None) -> list[Entry]:
        """Return what is in the tree, the oldest first, what could not be read last."""
        columns = "path, error, study, started, kernel, cpu, zcload, complete, headline, points"
        order = "ORDER BY error IS NOT NULL, started, seed, path"
        found = [
            Entry(
                path, error, name or "", started or "", kernel or "", cpu or "", version or "", bool(complete), headline or "", points or 0
            )
            for path, error, name, started, kernel, cpu, version, complete, headline, points in self._database.execute(
                f"SELECT {columns} FROM results {order}"
            )
        ]
        return [entry for entry in found if study is None or entry.error is not None or entry.study == study]

    def figures(
        self, metric: str, *, relative: bool, study: str | None = None, point: str | None = None, variant: str | None = None
    ) -> Iterator[HistoryFigure]:
        """Return a metric's figures in the order of `entries`: *relative* to each run's baseline, or themselves.

        *point* is a part of a point's name.
        """
        # Of thousands of results the figures are most of the file: only who asks for them waits for their check.
        if not all(_is_sound(self._database, table) for table in ("points", "figures")):
            self._database.close()
            self._database = _open(self._cache, self._root, rebuild=True)
            self._update()
        by_path = {entry.path: entry for entry in self.entries(study) if entry.error is None}
        columns = "path, points.point, setting, variant, baseline, estimate, low, high"
        query = (
            f"SELECT {columns} FROM figures JOIN points ON number = figures.point "
            "WHERE metric = ? AND (baseline IS NOT NULL) = ? ORDER BY number, figures.rowid"
        )
        found: dict[str, list[_Stored]] = {}
        for path, *row in self._database.execute(query, (metric, relative)):
            found.setdefault(path, []).append(_Stored(*row))
        for path, entry in by_path.items():
            for row in found.get(path, []):
                if (variant is None or row.variant == variant) and (point is None or point in row.point):
                    yield HistoryFigure(entry, row.point, row.setting, row.variant, metric, row.baseline, row.estimate, row.low, row.high)


class _Stored(NamedTuple):
    """A figure as the index has it."""

    point: str
    setting: str
    variant: str
    baseline: str | None
    estimate: float
    low: float
    high: float


def result_files(root: Path) -> Iterator[Path]:
    """Return the file of each result below *root* that its summary is read from: summary.json, else windows.jsonl. No links."""
    return map(Path, _files(str(root)))


def _files(root: str) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in (SUMMARY, WINDOWS):
            if name in files:
                yield os.path.join(folder, name)
                break


def place_of(root: Path) -> Path:
    """Return where the index of *root* lies: a file of its own in the user's cache (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "zcload" / f"history-{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.sqlite"


def _open(cache: Path | None, root: Path, rebuild: bool) -> sqlite3.Connection:
    try:
        path = cache or place_of(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        if rebuild:
            path.unlink(missing_ok=True)
        for _ in range(2):
            database = sqlite3.connect(path)
            try:
                if database.execute("PRAGMA user_version").fetchone()[0] == VERSION:
                    database.execute("SELECT 1 FROM results, points, figures LIMIT 1")
                    if _is_sound(database, "results"):
                        return database
                if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                    return _made(database)
            except sqlite3.DatabaseError:
                pass
            database.close()
            path.unlink()  # damaged, or of another version
    except (OSError, RuntimeError, sqlite3.Error):  # RuntimeError: there is no home directory
        pass
    return _memory()


def _is_sound(database: sqlite3.Connection, table: str) -> bool:
    try:
        return bool(database.execute(f"PRAGMA quick_check({table})").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:  # some damage is no answer but an error
        return False


def _memory() -> sqlite3.Connection:
    return _made(sqlite3.connect(":memory:"))


def _made(database: sqlite3.Connection) -> sqlite3.Connection:
    with closing(database.cursor()) as cursor:
        cursor.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    return database


def _of(summary: Summary) -> tuple[dict[str, object], list[_Point]]:
    env = summary["environment"]
    row: dict[str, object] = {
        "error": None,
        "study": str(summary["name"]),
        "started": str(summary["started"]),
        "seed": summary.get("seed"),
        "kernel": env.get("kernel_release"),
        "cpu": env.get("cpu_model"),
        "zcload": summary["zcload_version"],
        "complete": summary["complete"],
        "headline": summary.get("headline"),
        "points": len(summary["points"]),
    }
    points = list[_Point]()
    for point in summary["points"]:
        figures: list[tuple[object, ...]] = [
            (variant["name"], key, None, *_values(found)) for variant in point["variants"] for key, found in variant["metrics"].items()
        ]
        figures += [(c["variant"], c["metric"], c["baseline"], *_values(c["ratio"])) for c in point["comparisons"]]
        there = [figure for figure in figures if None not in figure[-3:]]
        points.append((point["name"], json.dumps(point["point"], sort_keys=True), there))
    return row, points


def _values(figure: IntervalRecord) -> tuple[object, object, object]:
    return figure["estimate"], figure["low"], figure["high"]


def _one_line(text: str, path: Path) -> str:
    """Return an error's first line without the path that the list names anyway."""
    return printable(text.splitlines()[0].removeprefix(f"{path}: ").removeprefix(f"{path}:"))
