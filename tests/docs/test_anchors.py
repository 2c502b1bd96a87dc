"""A link to a part of a page leads to a heading that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """The anchors that a forge makes of a page's headings: lower case, hyphens for spaces, signs left out."""
    headings = HEADING.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_anchors_of_a_page_exist(page: Path) -> None:
    links = [(path, anchor) for path, anchor in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in path]
    wrong = [(path, anchor) for path, anchor in links if anchor not in anchors_of(page.parent / path if path else page)]

    assert wrong == []
