"""The HTML page, parsed, and the results it is made from."""

from __future__ import annotations

from html.parser import HTMLParser

from support.fake_results import Cost, Result, header, lane

from zcload.analysis.summary import summarise
from zcload.store.reader import Result as Stored

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """A page taken apart: its elements with attributes, the text of tables and headings, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.tables, self.words = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append({"caption": "", "head": [], "rows": []})
        elif tag == "tr" and "tbody" in self.open:
            self.tables[-1]["rows"].append([])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        data = data.replace("\N{NO-BREAK SPACE}", " ")  # where lines may break is no matter of what the page says
        self.words.append(data)
        if "table" not in self.open or not data.strip():
            return
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        elif self.open[-1] in ("th", "td"):
            (self.tables[-1]["rows"][-1] if "tbody" in self.open else self.tables[-1]["head"]).append(data)

    def every(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def stored(records):
    return Stored(summarise(records), records=records)


def sweep(points, names, generations=3, blocks=2):
    """Return a sweep with samples, of as many points and variants as wanted."""
    result = Result(header([lane(name) for name in names], [f"chunk={2**p}KiB" for p in range(points)], baseline=names[0]))
    for point in range(points):
        result.point = point
        for number in range(generations):
            costs = {name: Cost(0.5 / (1 + i) + 0.01 * number + 0.02 * point) for i, name in enumerate(names)}
            busy = {"cpu_ns": 60_000_000, "voluntary": 30, "involuntary": 3}
            result.sample(number, **dict.fromkeys(names, (0, 0, {}, {})))
            result.generation(number, costs, blocks=blocks)
            result.sample(number, **dict.fromkeys(names, (3, 300_000_000, busy, busy)))
    return result.end()


def small_files(records):
    """Return *records* of streams as ones of small files of 1000 bytes."""
    facts = {"transfer": "per-file", "transfer_size": "1000B", "transfer_bytes": 1000.0, "transfer_sizes": 1}
    facts |= {"connection": "persistent", "arrivals": "closed", "transfers_per_s": None}
    for described in records[0]["points"]:
        described["point"] = {**described["point"], **facts}
    for record in records:
        if record["kind"] == "window":
            count = record["receivers"][0][1][1] - record["receivers"][0][0][1]
            record["transfers"] = {"sent": [[0, count // 1000]], "until_ns": None, "latency_ns": "", "late_ns": ""}
    return records
