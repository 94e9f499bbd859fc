"""The page in a real browser without a network: nothing is loaded or logged, every chart drawn, it fits a phone, axe finds no fault.

Needs Chromium (`apt-get install --no-install-recommends chromium`); the check of accessibility also axe-core, which `.ci/run` fetches
with npm into build/axe.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess

import pytest
from support.fake_results import example
from support.pages import small_files, stored, sweep
from support.paths import ROOT

from zcload.report.charts import draw
from zcload.report.html import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = ROOT / "build/axe/node_modules/axe-core/axe.min.js"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=20000"),
)

# Facts of a page in a frame of the phone's or the desk's width, written where the dump of the document shows them.
LOOK = """
<iframe id="frame" style="width:%dpx;height:900px;border:0" srcdoc="%s"></iframe><pre id="facts"></pre>
<script>
addEventListener('load', () => {
  const page = document.getElementById('frame').contentDocument;
  const drawings = [...page.querySelectorAll('.drawing svg')].map(svg => {
    const box = svg.getBoundingClientRect();
    return {width: box.width, height: box.height, right: box.right, marks: svg.querySelectorAll('path, use, line, rect').length,
            words: [...svg.querySelectorAll('text')].map(text => text.textContent)};
  });
  const facts = {drawings, overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth};
  document.getElementById('facts').textContent = JSON.stringify(facts);
});
</script>
"""
CHECK = """
<script>%s</script>
<script>
axe.run().then(found => {
  const facts = found.violations.map(v => [v.impact, v.id, v.nodes[0].html.slice(0, 200)]);
  document.body.insertAdjacentHTML('beforeend', '<pre id="facts"></pre>');
  document.getElementById('facts').textContent = JSON.stringify({violations: facts, passes: found.passes.length});
});
</script>
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install --no-install-recommends chromium"),
    pytest.mark.skipif(not draw.available(), reason=f"vl-convert-python is not installed: {draw.REMEDY}"),
]


@pytest.fixture(scope="module")
def pages():
    """Return a page of one point, of a sweep, and of a sweep of small files."""
    names = ("copy", "sendfile", "splice")
    return {
        "point": render([stored(example(everything=False))]),
        "sweep": render([stored(sweep(4, names))]),
        "files": render([stored(small_files(sweep(3, names)))]),
    }


def browse(text, folder, *flags):
    """Open *text* as a page in Chromium, without a network where that may be taken away; return the document and what it logged."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    alone = ["unshare", "-rn"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        alone = []
    command = [*alone, CHROMIUM, *FLAGS, f"--user-data-dir={folder}/profile", *flags, "--dump-dom", f"file://{path}"]
    environment = {**os.environ, "HOME": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line and "source: chrome:" not in line]


def facts(document):
    """Return what the page's own script has written down."""
    return json.loads(html.unescape(re.findall(r'<pre id="facts">(.*?)</pre>', document, re.DOTALL)[-1]))


def test_the_browser_tells_what_goes_wrong(tmp_path):
    """What these tests look for is logged when it happens: a page that its own policy keeps from loading something says so."""
    wrong = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\"><img src=x.png>"
    assert browse(wrong, tmp_path)[1]


@pytest.mark.parametrize("name", ["point", "sweep"])
def test_nothing_is_logged(name, pages, tmp_path):
    """The page opens without a network and without a word on the console: nothing is loaded, nothing is refused."""
    document, logged = browse(pages[name], tmp_path)
    assert logged == []
    assert document.count("<svg") == pages[name].count("<svg") > 5


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("name", ["point", "sweep"])
def test_every_chart_is_drawn_and_fits(name, width, pages, tmp_path):
    """At 400 and at 1600 pixels every chart is drawn, with marks and with units at its axes, inside the page; nothing sticks out of it."""
    document, _ = browse(LOOK % (width, html.escape(pages[name])), tmp_path, "--window-size=1700,1000")
    found = facts(document)
    assert len(found["drawings"]) == pages[name].count("<svg") > 5
    assert found["overflow"] <= 0
    for drawing in found["drawings"]:
        assert drawing["width"] > 200
        assert drawing["height"] > 60
        assert drawing["right"] <= width
        assert drawing["marks"] > 3
        assert any(re.search(r"\((s/GB|cores|Gbit/s|%|s|1000/s)\)|^chunk$", word) for word in drawing["words"]), drawing["words"]


def test_it_prints_on_few_sheets(tmp_path):
    """Printed, a page of two points with five variants has at most eight sheets."""
    text = render([stored(sweep(2, ("copy", "sendfile", "splice", "mmap_send", "msg_zerocopy")))])
    browse(text, tmp_path, f"--print-to-pdf={tmp_path}/page.pdf", "--no-pdf-header-footer")
    sheets = re.findall(rb"/Type\s*/Page\b(?!s)", (tmp_path / "page.pdf").read_bytes())
    assert 1 <= len(sheets) <= 8


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: npm install --prefix build/axe axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["point", "sweep", "files"])
def test_accessibility(name, scheme, pages, tmp_path):
    """The accessibility check axe finds no fault in the page, light or dark; contrast is among what it has looked at."""
    page = re.sub("<meta http-equiv=.Content-Security-Policy.[^>]*>", "", pages[name])
    page = page.replace("</body>", CHECK % AXE.read_text(encoding="utf-8") + "</body>")
    document, _ = browse(page, tmp_path, f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}")
    found = facts(document)
    assert found["violations"] == []
    assert found["passes"] > 15
