"""``python -m tests.config_reference``: writes docs/config.md from the settings themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stream_ad.config import Config

PAGE = Path(__file__).parent.parent / "docs" / "config.md"
HEAD = """# Every setting

A YAML file, section by section; `stream-ad init FILE` writes one for a recording,
`stream-ad config check FILE` checks one, `stream-ad config schema` prints the JSON Schema.
Unknown keys are errors. The environment goes before the file: `STREAM_AD__WINDOWS__HOP=8` sets
`windows.hop`; values are read as YAML. A replay needs `windows.sensors` and `windows.period_s`
and nothing else.

This page is made from the code: `python -m tests.config_reference`.
"""


def page() -> str:
    """Return the whole page."""
    schema = Config.model_json_schema()
    sections = [_section(*_named(key, part), schema) for key, part in _parts(schema)]
    return "\n".join([HEAD, *sections])


def _named(key: str, part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a section; of one whose keys are names, that of a name."""
    each = part.get("additionalProperties") or next(
        iter(part.get("patternProperties", {}).values()), None
    )
    return (key, part) if each is None else (f"{key}.NAME", each)


def _section(key: str, part: dict[str, Any], schema: dict[str, Any]) -> str:
    model = _resolve(part, schema)
    rows = "\n".join(
        f"| `{name}` | {_type(part)} | {_default(part)} | {_words(part)} |"
        for name, part in _rows(key, schema, model)
    )
    about = " ".join(model["description"].split())
    return (
        f"## {key}\n\n{about}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}\n"
    )


def _rows(prefix: str, schema: dict[str, Any], model: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, part in _parts(model):
        path = f"{prefix}.{name}"
        inner = _resolve(part, schema)
        if "properties" in inner:
            yield from _rows(path, schema, inner)
            continue
        yield path, part
        item = _resolve(part.get("items", {}), schema)
        if "properties" in item:
            yield from _rows(f"{path}[]", schema, item)
        for option in part.get("anyOf", ()):
            if "$ref" in option:
                yield from _rows(path, schema, _resolve(option, schema))


def _parts(model: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from model["properties"].items()


def _resolve(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = part.get("$ref", "")
    found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]] if reference else part
    return found


def _type(part: dict[str, Any]) -> str:
    if "$ref" in part:
        return "section"
    if "anyOf" in part:
        return " or ".join(_type(option) for option in part["anyOf"])
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if part["type"] == "object":
        return "section"
    if part["type"] == ["array", "string"]:
        return "list of text, or text with commas"
    if part["type"] == "array":
        items = part["items"]
        if "$ref" not in items:
            return f"list of {_type(items)}"
        return "list of names or sections" if "Sensor" in items["$ref"] else "list of sections"
    words = {"number": "number", "integer": "whole number", "string": "text", "null": "null"}
    words["boolean"] = "`true`, `false`"
    bounds = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    limits = [f"{word} {part[key]:g}" for key, word in bounds.items() if key in part]
    return " ".join([words[part["type"]], *limits])


def _default(part: dict[str, Any]) -> str:
    if "default" not in part:
        return "required"
    return f"`{json.dumps(part['default'])}`"


def _words(part: dict[str, Any]) -> str:
    return " ".join(part["description"].split())


if __name__ == "__main__":
    PAGE.write_text(page())
