"""The pages hang together: links lead somewhere, and what they list is what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tsunagu.broker.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / folder / "README.md" for folder in ("deploy", "tests", "tsunagu/up", "tsunagu/adapters")),
]
RECORDS = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("0*.md"))
HEADINGS = ("Status", "Context", "Decision", "Alternatives", "Consequences")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of the page names a file or folder of the repository."""
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_setting_is_in_the_operators_table() -> None:
    """The operator's guide lists exactly the settings that exist, with their defaults."""
    page = (ROOT / "docs" / "operator.md").read_text()
    rows = dict(re.findall(rf"^\| `({PREFIX}[A-Z_]+)`[^|]*\| (`[^`]*`)? ?\|", page, re.MULTILINE))
    assert set(rows) == {PREFIX + name.upper() for name in Settings.model_fields}
    for name, setting in Settings.model_fields.items():
        if isinstance(setting.default, int | float | str) and not isinstance(setting.default, bool):
            assert rows[PREFIX + name.upper()] == f"`{setting.default}`"


def test_every_decision_is_in_the_index() -> None:
    """The index of decisions links every record, and numbers are used once."""
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert re.findall(r"\]\((0[^)]+)\)", index) == RECORDS
    assert len({name[:4] for name in RECORDS}) == len(RECORDS)


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_has_its_headings(record: str) -> None:
    """Status, Context, Decision, Alternatives and Consequences are in every record."""
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "decisions" / record).read_text(), re.MULTILINE)
    assert set(HEADINGS) <= set(headings)


def test_no_page_or_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's own setting: no file names a registry's address."""
    files = [*PAGES, ROOT / "constraints.txt", ROOT / "Makefile", ROOT / ".ci" / "run", ROOT / "deploy" / "Dockerfile"]
    assert [file for file in files if re.search(r"pypi\.org|index-url|find-links", file.read_text())] == []
