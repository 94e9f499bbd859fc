"""Draw Vega-Lite specs as SVG and PNG with vl-convert in a child process, and clean up its SVG.

The library runs a JavaScript engine with threads of its own. Whoever draws may go on to fork lanes, which must not happen with a thread
alive, so the engine lives and ends in a child: `python -m zcload.report.charts.draw`, specs as JSON on stdin, drawings as JSON on stdout.
"""

from __future__ import annotations

import atexit
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any
from xml.etree import ElementTree

from zcload.errors import ZcloadError
from zcload.report.charts.parts import CONFIG, Chart, Spec

REMEDY = "pip install vl-convert-python"
TIMEOUT_S = 300.0
_VERSION = "5.21"  # of Vega-Lite
# The library measures texts in Liberation Sans, which Arial equals; where a browser has neither, names may take a little more room.
FONT = "Arial, 'Liberation Sans', Helvetica, sans-serif"
PADDING = {"left": 6, "top": 4, "right": 14, "bottom": 4}
SVG = "http://www.w3.org/2000/svg"
LIGHT = {
    "ink": "#1b1f24", "muted": "#59636e", "grid": "#e4e8ec", "band": "#e9edf2", "paper": "#ffffff", "s0": "#0064b0", "s1": "#b84e00",
    "s2": "#00755a", "s3": "#a0408c", "s4": "#7d6200", "s5": "#4f5b66", "s6": "#c0203f",
}  # fmt: skip
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_DROPPED = {
    "role", "aria-roledescription", "aria-hidden", "aria-label", "class", "pointer-events", "version", "font-family", "stroke-miterlimit",
}  # fmt: skip
_PLACES = ("transform", "x", "y", "x1", "x2", "y1", "y2", "width", "height")
_DEFAULTS = {
    "x2": "0",
    "y2": "0",
    "opacity": "1",
    "stroke-width": "1",
    "font-weight": "normal",
    "font-style": "normal",
    "stroke-opacity": "1",
    "fill-opacity": "1",
}


def available() -> bool:
    """Say whether the library is installed; does not import it."""
    return find_spec("vl_convert") is not None


def framed(panel: Spec, title: str = "") -> Spec:
    """Return a panel's spec as a whole drawing."""
    named = {"title": title} if title else {}
    return {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "config": CONFIG, "padding": PADDING, **named, **panel}


def whole(chart: Chart) -> Spec:
    """Return all panels of a chart as one drawing, at most three side by side, under the chart's title."""
    if len(chart.panels) == 1:
        return framed(chart.panels[0].spec, chart.title)
    parts = [{**panel.spec, "title": panel.title} for panel in chart.panels]
    return framed({"concat": parts, "columns": 3 if len(parts) % 2 else 2, "spacing": 30}, chart.title)


def svg(specs: Sequence[Spec]) -> list[str]:
    """Draw *specs* as SVG for the page: colours are the page's variables. Raises ZcloadError."""
    return [compact(text, f"m{i}-") for i, text in enumerate(_ask({"specs": list(specs)}))]


def svg_file(specs: Sequence[Spec], names: Sequence[str]) -> list[str]:
    """Draw *specs* as SVG that stands alone, in fixed colours, each with its name as its title. Raises ZcloadError."""
    return [standing(text, name) for text, name in zip(svg(specs), names, strict=True)]


def png(drawings: Sequence[str]) -> list[bytes]:
    """Return drawings of `svg_file` as PNG, twice their size. Raises ZcloadError."""
    import base64

    return [base64.b64decode(text) for text in _ask({"drawings": list(drawings)})]


def _ask(task: dict[str, Any]) -> list[str]:
    if not available():
        raise ZcloadError(f"drawing charts needs the package vl-convert-python: {REMEDY}")
    given = json.dumps(_legible(task), allow_nan=False)
    with _started.pop() if _started else _child() as child:
        try:
            drawn, said = child.communicate(given, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise ZcloadError(f"drawing charts took longer than {TIMEOUT_S:.0f} s and was ended") from None
        finally:
            child.kill()  # nothing once it has ended
    if child.returncode:
        last = (said.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise ZcloadError(f"charts could not be drawn: {last}")
    answer: list[str] = json.loads(drawn)
    return answer


_started: list[subprocess.Popen[str]] = []  # one at most: a child that was started before there was anything to draw


def start(bind: Callable[[], None] | None = None) -> None:
    """Start the child that the next drawing takes, so that its engine is ready then. It ends with this process, drawing or not.

    *bind* is called in the child before its program begins: it can have it end even where this process is killed.

    Ctrl-C at a terminal, which reaches both, does not end it: a run that is interrupted still gets its page.
    """
    if available() and not _started:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the child inherits what is blocked (execve(2))
        try:
            _started.append(_child("early", bind=bind))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        atexit.register(_end_started)


def _end_started() -> None:
    while _started:
        with _started.pop() as child:
            child.kill()


def _child(*when: str, bind: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "zcload.report.charts.draw", *when]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8", preexec_fn=bind)


def _legible(value: Any) -> Any:
    """Return *value* with its texts free of what XML cannot hold; the library ends at once when it meets such a character."""
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {key: _legible(inner) for key, inner in value.items()}
    return [_legible(inner) for inner in value] if isinstance(value, list) else value


def compact(text: str, prefix: str) -> str:
    """Return an SVG of the library without what a page does not need, and with the marks' descriptions as titles.

    The whole is one image with a name that the page gives it and a table beside it, so that roles and labels inside would only be noise
    to a screen reader; titles are what a mouse pointer shows. Marks that differ in their place only are written once and used again,
    under names that begin with *prefix*, which makes drawings of many points a third as long.
    """
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(text)
    _strip(root)
    _share(root, prefix)
    root.set("font-family", FONT)
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")


def _strip(element: ElementTree.Element) -> None:
    label = element.get("aria-label")
    symbol = element.get("role") == "graphics-symbol" and element.tag != f"{{{SVG}}}g"
    for child in list(element):
        unseen = child.get("display") == "none" or (
            child.get("class") == "background" and child.get("stroke") is None and child.get("fill") is None
        )
        _strip(child)
        if unseen or (child.tag == f"{{{SVG}}}g" and not len(child)):
            element.remove(child)
    for name in list(element.attrib):
        if name in _PLACES:  # a tenth of a pixel is as fine as anybody sees
            element.attrib[name] = re.sub(r"-?\d+\.\d+(?:e-?\d+)?", _tenths, element.attrib[name])
        if name in _DROPPED or _DEFAULTS.get(name) == element.attrib[name]:
            del element.attrib[name]
    if label and symbol:
        title = ElementTree.SubElement(element, f"{{{SVG}}}title")
        title.text = label


def _share(root: ElementTree.Element, prefix: str) -> None:
    marks: dict[tuple[tuple[str, str], ...], list[ElementTree.Element]] = {}
    for element in root.iter(f"{{{SVG}}}path"):
        place = re.fullmatch(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
        if place:
            marks.setdefault(tuple(sorted((k, v) for k, v in element.attrib.items() if k != "transform")), []).append(element)
    repeated = [(key, found) for key, found in marks.items() if len(found) > 3]
    if not repeated:
        return
    defs = ElementTree.Element(f"{{{SVG}}}defs")
    for number, (key, found) in enumerate(repeated):
        name = f"{prefix}{number}"
        ElementTree.SubElement(defs, f"{{{SVG}}}path", {"id": name, **dict(key)})
        for element in found:
            x, y = element.attrib["transform"][len("translate(") : -1].split(",")
            element.attrib.clear()
            element.tag = f"{{{SVG}}}use"
            element.attrib.update(href=f"#{name}", x=x, y=y)
    root.insert(0, defs)


def _tenths(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def standing(text: str, name: str) -> str:
    """Return an SVG with fixed colours on white and a title, fit to stand alone."""
    fixed = re.sub(r"var\(--(\w+)\)", lambda found: LIGHT[found[1]], text)
    root = ElementTree.fromstring(fixed)
    root.set("role", "img")
    root.insert(0, ElementTree.Element(f"{{{SVG}}}rect", {"width": "100%", "height": "100%", "fill": LIGHT["paper"]}))
    title = ElementTree.Element(f"{{{SVG}}}title")
    title.text = name
    root.insert(0, title)
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def answer(task: dict[str, Any]) -> list[str]:
    """Do what the parent asks, in the child: specs to SVG, or drawings to PNG in base64. No address may be loaded."""
    import base64

    import vl_convert

    if "specs" in task:
        return [vl_convert.vegalite_to_svg(spec, vl_version=_VERSION, allowed_base_urls=[]) for spec in task["specs"]]
    return [base64.b64encode(vl_convert.svg_to_png(text, scale=2)).decode() for text in task["drawings"]]


def main(early: bool) -> None:
    """Be the child. One that was started *early* gets its engine ready before it reads what to draw, if anything ever comes."""
    if early:
        answer({"specs": [framed({"mark": "point", "data": {"values": []}})]})
    if given := sys.stdin.buffer.read():
        sys.stdout.write(json.dumps(answer(json.loads(given))))


if __name__ == "__main__":
    main(early=len(sys.argv) > 1)
