"""The docs say what the code does now."""

from __future__ import annotations

import re
from pathlib import Path

from tests.config_reference import PAGE, page

ROOT = Path(__file__).parent.parent


def test_the_config_page_is_made_from_the_code() -> None:
    """`python -m tests.config_reference` writes it anew."""
    assert PAGE.read_text() == page()


def test_every_link_inside_the_docs_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (file, target)
        for file in pages
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text())
        if not target.startswith(("http:", "https:", "mailto:"))
    ]
    assert links
    missing = [(file.name, target) for file, target in links if not (file.parent / target).exists()]
    assert not missing
