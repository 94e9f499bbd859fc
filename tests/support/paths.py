"""Where the tests find things."""

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
CONFIGS = ROOT / "configs"
DOCS = ROOT / "docs"
DATA = TESTS / "data"
GOLDEN = TESTS / "golden"
SUPPORT = TESTS / "support"
FIRST_RELEASE = DATA / "first-release"
