"""The docs say what the code does now."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from stream_ad.transport.decode import Decoder
from tests.config_reference import PAGE, page
from tests.transport.recordings import config_of, readings, spec_of

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


@pytest.mark.parametrize("values", ["values", "."])
def test_the_records_of_the_kafka_page_are_read(values: str) -> None:
    """With the default names the first one, with flat records the second."""
    shown = re.findall(r"```json\n(.*?)```", (ROOT / "docs/kafka.md").read_text(), re.DOTALL)
    record = orjson.loads(shown[values == "."])
    config = config_of(("temp", "load"), fields={"values": values})
    batch = Decoder(config.input, config.limits, spec_of(config)).decode(
        [(0, orjson.dumps(record))]
    )
    assert readings(batch).values.tolist() == [[21.5, 3.0]]
    assert batch.records.machine.tolist() == ["press-1"]


def test_the_way_to_an_extra_is_the_same_everywhere() -> None:
    files = [
        ROOT / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "stream_ad").rglob("*.py"),
    ]
    said = [line for file in files for line in file.read_text().splitlines() if "[eval]" in line]
    assert len(said) >= 4
    ways = {line.partition("pip install ")[2].replace("\\", "")[:17] for line in said}
    assert ways == {'"stream-ad[eval]"'}
