"""Which test files test a module. As a program: `python tests/support/tests_of.py zcload/lane/gate.py`.

First the file of the same name in tests/unit, then those that test a topic the module belongs to, then those that import it.
"""

from __future__ import annotations

import ast
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Files that test several modules together, and which. A file in tests/unit that is not here has the name of its module.
TOPICS: dict[str, tuple[str, ...]] = {
    "contract/test_mechanisms_and_sinks.py": ("mechanisms/*", "sinks/*"),
    "contract/test_copies.py": ("mechanisms/*",),
    "simulation/test_compare_rates.py": ("compare/gates.py", "compare/comparison.py"),
    "simulation/test_crossover_rates.py": ("analysis/crossover*.py",),
    "simulation/test_interval_rates.py": ("analysis/stats.py", "analysis/estimates.py"),
    "system/test_cluster_engine.py": ("cluster/dask_engine.py", "cluster/agent.py"),
    "system/test_cluster.py": (
        "cluster/*",
        "runner/cluster*.py",
        "analysis/cluster.py",
        "report/tables/hosts.py",
        "report/text/hosts.py",
        "host/nic.py",
    ),
    "system/test_command_line.py": ("cli/*", "main.py", "__main__.py"),
    "system/test_cluster_command.py": ("cli/cluster*.py", "cluster/check.py", "cluster/host_facts.py"),
    "system/test_dask_engine.py": ("cluster/agent_task.py", "cluster/quiet.py"),
    "system/test_demo.py": ("oneshot/demo/*",),
    "system/test_http_pacing.py": ("server/http/loads/*", "server/http/due_queue.py"),
    "system/test_http_small_files.py": ("server/http/loads/*",),
    "system/test_lane.py": ("lane/*", "linux/*"),
    "system/test_replicates.py": ("runner/*",),
    "system/test_send_receive.py": ("oneshot/*",),
    "system/test_streams.py": ("cli/*",),
    "system/test_servers.py": ("server/*",),
    "system/test_strace.py": ("mechanisms/*", "lane/loads/*"),
    "system/test_tls_servers.py": ("server/http/tls.py", "linux/certificate.py"),
    "system/test_veth.py": ("linux/*", "lane/network.py"),
    "unit/analysis/test_beside_load.py": ("analysis/*",),
    "unit/compare/test_comparison.py": ("compare/*",),
    "unit/compare/test_history.py": ("compare/history*.py",),
    "unit/config/test_config.py": ("config/*",),
    "unit/config/test_config_fuzz.py": ("config/*",),
    "unit/config/test_time_check.py": ("config/checks/*", "runner/preflight.py"),
    "unit/config/test_schema.py": ("config/*",),
    "unit/host/test_cache.py": ("linux/*", "host/*"),
    "unit/report/charts/test_charts.py": ("report/charts/*",),
    "unit/report/charts/test_load_charts.py": ("report/charts/*",),
    "unit/report/formats/test_exports.py": ("report/formats/*",),
    "unit/report/test_report.py": ("report/formats/*", "report/tables/*", "report/text/*"),
    "unit/runner/test_point.py": ("runner/*",),
    "unit/sinks/test_sinks.py": ("sinks/*",),
    "unit/store/test_codec.py": ("store/*", "compare/comparison.py", "report/*"),
    "unit/store/test_result_directory.py": ("store/*",),
    "unit/config/test_environment_values.py": ("config/server_section.py", "model/placeholders.py"),
}


@cache
def imported_by() -> dict[str, frozenset[str]]:
    """Return the names that each test file imports, wherever in the file it does so."""
    found = {}
    for path in sorted(ROOT.glob("tests/**/test_*.py")):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found[str(path.relative_to(ROOT / "tests"))] = frozenset(names)
    return found


def namesake(module: Path) -> str:
    """Return the unit test file that a module of zcload, given by its path in the package, has for itself, whether it exists or not."""
    return f"unit/{module.parent}/test_{module.stem}.py".replace("/./", "/")


def find_tests(module: Path) -> list[str]:
    """Return the test files of a module, given by its path in the package, the most telling first."""
    package, path = str(module.parent), str(module)
    dotted = "zcload." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    own = [namesake(module), f"unit/{module.parent.parent}/test_{module.parent.name}.py"]
    topics = [file for file, patterns in TOPICS.items() if any(fnmatch(path, pattern) for pattern in patterns)]
    importers = sorted((file for file, names in imported_by().items() if dotted in names), key=lambda file: package not in file)
    return [file for file in dict.fromkeys([*own, *topics, *importers]) if file in imported_by()]


if __name__ == "__main__":
    for given in sys.argv[1:]:
        print(*(f"tests/{file}" for file in find_tests(Path(given).resolve().relative_to(ROOT / "zcload"))), sep="\n")
