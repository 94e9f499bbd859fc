"""What the repository promises as a whole: imports point down, the docs name everything that exists, configs load, files stay clean."""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML
from support.generated_docs import PARTS, made_from_code
from support.paths import FIRST_RELEASE, ROOT
from support.tests_of import TOPICS, find_tests, imported_by, namesake

import zcload
from zcload import config
from zcload.cli.app import app
from zcload.host.environment import describe
from zcload.mechanisms import MECHANISMS, RELAYS
from zcload.model.cautions import CAUTIONS, WORST_FIRST
from zcload.model.checks import CHECKS
from zcload.model.metrics import METRICS
from zcload.sinks import SINKS
from zcload.store.result_schema import summary_schema

PACKAGE = Path(zcload.__file__).parent
DOCS = sorted(ROOT.glob("docs/*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *DOCS]
CONFIGS = sorted(path for path in ROOT.glob("configs/**/*") if path.suffix in (".toml", ".yaml", ".yml"))
TESTS = sorted(ROOT.glob("tests/**/*.py"))
TEST_FILES = [path for path in TESTS if path.name.startswith("test_")]
SOURCES = sorted(PACKAGE.rglob("*.py"))
PYTHON = [*SOURCES, *TESTS, *ROOT.glob("benchmarks/**/*.py"), *ROOT.glob(".ci/*.py")]

LONGEST_FILE = 400  # lines: more do not fit into one head
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def described() -> frozenset[str]:
    """Return what has a line of its own in the docs: the names in code style that table rows begin with."""
    rows = "\n".join(path.read_text(encoding="utf-8") for path in DOCS)
    cells = re.findall(r"^\| *((?:`[^`]+`(?:, *)?)+) *\|", rows, re.MULTILINE)
    return frozenset(name for cell in cells for name in re.findall(r"`([^`]+)`", cell))


# Imports.


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def imports_of(path: Path) -> set[str]:
    """Return the modules of zcload that a file imports, wherever in the file it does so."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            found.update(f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in MODULES else node.module for alias in node.names)
    return {name for name in found if name in MODULES}


@cache
def layers() -> dict[str, int]:
    """Read the diagram in docs/design.md: the names of each line, without what is said of them, and the number of the line."""
    block = re.search(r"^```layers\n(.*?)^```", page("docs/design.md"), re.MULTILINE | re.DOTALL)
    assert block, "docs/design.md has no code block marked `layers`"
    lines = [line.split("  ")[0].split() for line in block[1].splitlines()]
    assert len({name for line in lines for name in line}) == sum(map(len, lines)), "a name stands twice in the diagram"
    return {name: number for number, line in enumerate(lines) for name in line}


def unit_of(module: str) -> str:
    """Return the entry of the diagram that a module belongs to: the longest that fits."""
    name = module.removeprefix("zcload.")
    while name not in layers():
        name, dot, _ = name.rpartition(".")
        assert dot, f"{module} is in no layer of docs/design.md"
    return name


def test_imports_point_down():
    """A module imports from its own part and from lower layers of the diagram in docs/design.md, never sideways or up."""
    upwards = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        for other in imports_of(path)
        if unit_of(other) != unit_of(module) and layers()[unit_of(other)] <= layers()[unit_of(module)]
    ]
    assert upwards == []


def test_imports_have_no_cycle():
    """No module imports itself through others, within a part of the diagram either."""
    tuple(TopologicalSorter({module: imports_of(path) for module, path in MODULES.items()}).static_order())


def test_the_diagram_names_what_there_is():
    """Every name in the diagram is a module or package of zcload."""
    known = {module.removeprefix("zcload.") for module in MODULES}
    assert set(layers()) <= known


def test_no_module_has_a_vague_name():
    """No file or folder is a drawer for what has no place."""
    assert not {part for module in MODULES for part in module.split(".")} & VAGUE


def test_code_that_measures_never_prints():
    """Only the commands, and the start before them, print."""
    printing = {
        module
        for module, path in MODULES.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert {module for module in printing if not module.startswith("zcload.cli.")} <= {"zcload.main"}


def test_code_that_prints_never_measures():
    """A renderer imports nothing that reads clocks, processes or sockets."""
    for module, path in MODULES.items():
        if module.startswith("zcload.report"):
            assert {unit_of(other) for other in imports_of(path)} <= {"report", "store", "analysis", "model", "errors"}, module


CARRY_OUT = """
import contextlib, io, sys
from zcload.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(*sys.modules)
"""


def modules_of(*arguments, columns="80"):
    """Return the modules that zcload has imported after it has carried out a command on a terminal of so many *columns*."""
    environment = os.environ | {"COLUMNS": columns}
    done = subprocess.run([sys.executable, "-c", CARRY_OUT, *arguments], capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("command", [[], ["run"], ["cluster", "keys"]])
def test_help_imports_no_package(command):
    """`--help` prints a stored text, whatever the command: not even typer is imported for it."""
    loaded = modules_of(*command, "--help")
    assert {module for module in loaded if module.startswith("zcload.")} == {
        "zcload.main",
        "zcload.cli",
        "zcload.cli.streams",
        "zcload.cli.stored_help",
        "zcload.model",
        "zcload.model.printable",
    }
    assert not loaded & {"typer", "dataclasses", "pathlib"}


def test_help_that_typer_makes_imports_next_to_nothing():
    """`zcload --help` on a narrow terminal imports no package but typer, no part of zcload that works, nothing slow."""
    loaded = modules_of("--help", columns="60")
    slow = {"asyncio", "concurrent", "hashlib", "json", "multiprocessing", "random", "socket", "statistics", "tomllib"}
    packages = {"psutil", "tabulate", "pydantic", "pydantic_core", "rich", "tree_sitter", "tree_sitter_toml", "ruamel"}
    own = {module for module in loaded if module.startswith("zcload.")}
    assert "typer" in loaded
    assert not loaded & (slow | packages)
    assert own <= {
        "zcload.main",
        "zcload.errors",
        "zcload.linux",
        "zcload.linux.interrupt",
        "zcload.linux.patience",
        "zcload.cli",
        "zcload.cli.app",
        "zcload.cli.cluster_app",
        "zcload.cli.command_line",
        "zcload.cli.host_commands",
        "zcload.cli.measure_commands",
        "zcload.cli.result_commands",
        "zcload.cli.options",
        "zcload.cli.completion",
        "zcload.cli.plain_values",
        "zcload.cli.stored_help",
        "zcload.cli.streams",
        "zcload.model",
        "zcload.model.printable",
        "zcload.report",
    }


@pytest.mark.parametrize("command", ["mechanisms", "doctor", "clean --dry-run", "report RESULT", "history FOLDER"])
def test_commands_that_read_no_config_import_nothing_slow(command, tmp_path):
    """What looks at this host or at sound results does without every package that is slow to import."""
    shutil.copytree(FIRST_RELEASE, tmp_path / "result")
    places = {"RESULT": str(tmp_path / "result"), "FOLDER": str(tmp_path)}
    loaded = modules_of(*(places.get(word, word) for word in command.split()))
    assert not loaded & {"pydantic", "pydantic_core", "jinja2", "rich", "vl_convert", "asyncio", "multiprocessing"}


def test_commands_that_draw_nothing_import_no_charts(tmp_path):
    """The list of mechanisms imports no report but the part that breaks lines, and a short report no chart that it does not draw."""
    listed = {module for module in modules_of("mechanisms") if module.startswith("zcload.report.")}
    assert listed == {"zcload.report.text", "zcload.report.text.wrapping"}
    shutil.copytree(FIRST_RELEASE, tmp_path / "result")
    reported = modules_of("report", str(tmp_path / "result"))
    assert "zcload.report.formats.brief" in reported
    assert not reported & {f"zcload.report.charts.{chart}" for chart in ("registry", "draw", "costs", "latency", "timeline", "windows")}


def test_a_replicate_imports_only_what_it_measures_with():
    """The process of a replicate, of which a run starts many, imports no package but psutil, and no room that its study does not use."""
    code = "import sys, zcload.runner.replicate; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    packages = {
        "pydantic",
        "msgspec",
        "typer",
        "rich",
        "tabulate",
        "annotated_types",
        "typing_extensions",
        "jinja2",
        "ruamel",
        "distributed",
    }
    slow = {"asyncio", "email", "importlib.metadata", "ssl", "tomllib", "zipfile"}
    rooms = {f"zcload.{room}" for room in ("cli", "api", "report", "compare", "oneshot", "cluster", "server", "config", "model.records")}
    unused = {"zcload.store.codec", "zcload.store.reader", "zcload.runner.preflight", "zcload.runner.run", "zcload.host.doctor"}
    assert "psutil" in loaded
    assert not loaded & (packages | slow | rooms | unused)


# The docs.


def record_kinds() -> set[str]:
    """Return the kinds of lines of windows.jsonl: the dictionaries that the code writes with a literal kind."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Dict) and node.keys and isinstance(node.keys[0], ast.Constant) and node.keys[0].value == "kind":
                found.update(value.value for value in node.values[:1] if isinstance(value, ast.Constant))
    return found


def summary_keys(schema: dict) -> set[str]:
    """Return the keys of summary.json and of all that is in it, the point's own workload values left out."""
    keys = set(schema.get("properties", ()))
    for name, inner in schema.get("properties", {}).items():
        keys |= set() if name in ("point", "environment") else summary_keys(inner) | summary_keys(inner.get("items", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        keys |= summary_keys(schema["additionalProperties"])
    return keys


COMMANDS = {f"zcload {command.name or command.callback.__name__}" for command in app.registered_commands}
DESCRIBED = {
    "mechanisms": {*MECHANISMS, *RELAYS},
    "sinks": set(SINKS),
    "metrics": set(METRICS),
    "cautions": {code.partition(":")[0] for code in CAUTIONS},
    "checks of the host": set(CHECKS),
    "commands": COMMANDS,
    "kinds of records": record_kinds(),
    "keys of summary.json": summary_keys(summary_schema()),
    "facts of the environment": set(describe(host_name=True)),
    "configs": {relative(path) for path in CONFIGS},
}


@pytest.mark.parametrize("what", DESCRIBED)
def test_the_docs_have_a_line_for_everything(what):
    """Each mechanism, sink, metric, caution, check, command, kind of record, key and config begins a line of a table in docs/."""
    assert DESCRIBED[what], "nothing was found: the test looks in the wrong place"
    assert not DESCRIBED[what] - described()


@pytest.mark.parametrize("name", PARTS)
def test_docs_made_from_the_code_are_up_to_date(name, golden):
    """The tables of cautions and of checks and the code map are what the code says."""
    golden(ROOT / name, made_from_code(name))


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are(module):
    """The first line of every module's docstring is whole sentences, and fits into a line of the code map."""
    said = (ast.get_docstring(tree_of(MODULES[module])) or "").partition("\n")[0]
    assert said.endswith((".", "?")), said
    assert len(said) <= 140


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_links_lead_somewhere(path):
    """Every relative link in the docs leads to a file that exists and, where it names one, to a heading in it."""
    text = re.sub(r"^```diff\n.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)  # links of another page
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}, target


def glossary() -> set[str]:
    """Return the words of the glossary in docs/design.md."""
    part = page("docs/design.md").partition("\n## Words\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|`]+?) \|", part, re.MULTILINE)
    others = re.findall(r"`([^`]+)`", part)
    return {word for word in rows if word not in ("word", "---")} | set(others)


def column_titles() -> set[str]:
    """Return the titles of the columns of all tables of a report: the texts of lists that the code calls headers or hands to a Table."""
    found = set()
    for path in PACKAGE.glob("report/tables/*.py"):
        for node in ast.walk(tree_of(path)):
            lists = []
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "headers":
                lists = [node.value]
            elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "Table":
                lists = node.args[1:2]
            for each in lists:
                found |= {text.value for text in getattr(each, "elts", ()) if isinstance(text, ast.Constant) and text.value}
    return found


PLAIN_ENGLISH = {"CPU from", "asked for", "ended", "long", "processes", "processes not seen", "protocol", "short"}
REPORTED = {
    "columns of tables": column_titles() - PLAIN_ENGLISH,
    "verdicts": {
        text
        for text in summary_schema()["properties"]["points"]["items"]["properties"]["comparisons"]["items"]["properties"]["verdict"]["enum"]
        if text
    },
    "labels of metrics": {metric.label for metric in METRICS.values()},
    "levels of cautions": set(WORST_FIRST),
}


@pytest.mark.parametrize("what", REPORTED)
def test_the_glossary_has_the_words_of_reports(what):
    """Every column title, verdict, metric's label and level has a word of the glossary in it, which says what it means."""
    words = re.compile("|".join(rf"\b{re.escape(word)}s?\b" for word in sorted(glossary(), key=len, reverse=True)))
    assert REPORTED[what], "nothing was found: the test looks in the wrong place"
    assert not {text for text in REPORTED[what] if not words.search(text)}


@pytest.mark.parametrize("path", [*(page for page in PAGES if page.name not in ("CHANGELOG.md", "extending.md")), *PYTHON], ids=relative)
def test_files_that_are_named_exist(path):
    """A path below tests, docs, zcload, configs or benchmarks that a page, a comment or a docstring names leads to a file."""
    # Not in what was once, and not in what a reader is to make: test_extending makes that.
    places = r"(?:tests|docs|zcload|configs|benchmarks)(?:/[\w.-]+)*/[\w-]+\.(?:py|md|toml|yaml|json)"
    named = set(re.findall(rf"(?<![\w/.-]){places}(?![\w*])", path.read_text(encoding="utf-8")))
    assert not {name for name in named if not (ROOT / name).exists()}


def test_the_readme_has_what_it_is_for():
    """The README names both commands and links every page of docs/, and its sample report stands between its two markers."""
    readme = page("README.md")
    assert "make bench" in readme
    assert "make test " in readme
    assert "make test-all" in readme
    assert all(f"({relative(path)}" in readme for path in DOCS)
    begin, end = (readme.index(f"<!-- sample report: {word} -->") for word in ("begin", "end"))
    assert "CPU per GB against" in readme[begin:end]


def test_tests_that_the_docs_name_exist():
    """A path below tests/ that a page names leads to a file."""
    named = {(relative(path), name) for path in PAGES for name in re.findall(r"\btests/[\w/]+\.py\b", path.read_text(encoding="utf-8"))}
    assert len(named) > 3
    assert {(path, name) for path, name in named if not (ROOT / name).is_file()} == set()


def test_the_changelog_has_a_place_for_the_next_change():
    """CHANGELOG.md has its Unreleased heading."""
    assert re.search(r"^## \[Unreleased\]$", page("CHANGELOG.md"), re.MULTILINE)


# The configs.


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_shipped_configs_are_right(path):
    """Every shipped config loads, as written and in its effective form, and satisfies the JSON Schema in both."""
    study = config.load(path)
    written = tomllib.loads(path.read_text()) if path.suffix == ".toml" else YAML(typ="safe", pure=True).load(path)
    validator = jsonschema.Draft202012Validator(config.json_schema())
    validator.validate(written)
    validator.validate(study.config)
    assert config.from_tree(study.config).points == study.points


@pytest.mark.parametrize("path", CONFIGS, ids=relative)
def test_shipped_configs_say_what_they_are_for(path):
    """Every shipped config begins with a comment, which `zcload init --list` shows, and names the command that runs it."""
    text = path.read_text()
    assert text.startswith("# ")
    assert f"zcload run {relative(path)}" in text


# The files.


def functions_of(path: Path) -> list[ast.FunctionDef]:
    """Return the tests in a file."""
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def test_tests_say_what_they_prove():
    """Every test's docstring says in one line, with a full stop, the fact that it proves."""
    said = {f"{relative(path)}: {test.name}": ast.get_docstring(test) or "" for path in TEST_FILES for test in functions_of(path)}
    assert len(said) > 1000
    assert [name for name, text in said.items() if not text.endswith(".") or "\n" in text] == []


def test_unit_tests_stand_where_their_module_does():
    """Each file in tests/unit has the name and the room of a module or package of zcload, or tests a topic of its room."""
    placed = {namesake(path.relative_to(PACKAGE)) for path in SOURCES} | {namesake(path.parent.relative_to(PACKAGE)) for path in SOURCES}
    files = [str(path.relative_to(ROOT / "tests")) for path in TEST_FILES if path.is_relative_to(ROOT / "tests/unit")]
    assert len(files) > 50
    assert [file for file in files if file not in placed and file not in TOPICS] == []
    assert [file for file in files if not (PACKAGE / Path(file).relative_to("unit").parent).is_dir()] == []
    assert [file for file in TOPICS if not (ROOT / "tests" / file).is_file()] == []
    modules = [str(path.relative_to(PACKAGE)) for path in SOURCES]
    assert [pattern for patterns in TOPICS.values() for pattern in patterns if not fnmatch.filter(modules, pattern)] == []


def test_every_module_has_tests_that_are_found():
    """tests/support/tests_of.py names at least one test file for each module that has code."""
    modules = [path.relative_to(PACKAGE) for path in SOURCES if path.name != "__init__.py"]
    assert [str(module) for module in modules if not find_tests(module)] == []


def test_no_test_imports_another():
    """What tests share is in tests/support, not in a test file."""
    found = {
        file: [name for name in names if re.search(r"(^|\.)(test_\w+|tests|conftest)(\.|$)", name)] for file, names in imported_by().items()
    }
    assert {file: names for file, names in found.items() if names} == {}


def test_no_notes_to_self():
    """What is not done is no comment in the code."""
    assert holding(r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b", PYTHON) == []


def test_no_path_of_somebodys_machine():
    """No file names a place that exists only where it was written."""
    files = [*PYTHON, *PAGES, *CONFIGS, ROOT / "Makefile", ROOT / "pyproject.toml"]
    assert holding(r"(?<![\w.\]/])/(?:hom[e]|roo[t]|User[s]|wor[k])/", files) == []


def holding(pattern: str, files: list[Path]) -> list[str]:
    """Return each place in *files* that a pattern matches: file, line and match."""
    found = []
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [f"{relative(path)}:{number}: {match}" for match in re.findall(pattern, line)]
    return found


def test_the_lock_has_no_address():
    """requirements.lock names no package index."""
    assert "://" not in page("requirements.lock")


def test_files_are_short():
    """No file of zcload has 400 lines or more."""
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length >= LONGEST_FILE} == {}
