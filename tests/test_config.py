"""Settings: what is refused is refused with its key, its value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jsonschema
import orjson
import pytest
import yaml
from pydantic import BaseModel

from stream_ad.config import Config, load_config, parse_config
from stream_ad.errors import ConfigError
from tests.cli.command import good, refused, run
from tests.cli.recordings import write_config

WHOLE: dict[str, dict[str, Any]] = {
    "kafka": {
        "bootstrap_servers": ["a:9092", "b:9092"],
        "group_id": "g",
        "instance": "i",
        "delivery": "at_least_once",
        "on_lost_position": "latest",
        "batch_records": 10,
        "batch_s": 0.2,
        "session_timeout_s": 7,
        "transaction_timeout_s": 8,
        "retry_backoff_s": 2,
        "checkpoint_s": 3,
        "checkpoint_records": 4,
        "topics": {"input": "in", "alerts": "out", "scores": "s", "dead_letter": "d", "state": "t"},
        "security": {"protocol": "ssl", "ca_file": "ca.pem"},
        "client": {"client_id": "c", "compression_type": "zstd"},
    },
    "metrics": {"port": 9100, "host": "0.0.0.0"},
    "input": {
        "format": "long",
        "fields": {"machine_id": "a", "time": "b", "sensor": "c", "value": "d", "quality": "q"},
        "time_unit": "s",
        "time_zone": "Europe/Berlin",
        "time_format": "%d.%m.%Y %H:%M",
        "good_quality": [0, "good"],
        "csv": {"delimiter": ";", "decimal": ","},
    },
    "limits": {"record_bytes": 1000, "sensors": 5, "nesting": 3, "machines_per_worker": 7},
    "windows": {
        "sensors": ["a", {"name": "b", "unit": "C", "min": -1e3, "max": 9, "stuck_s": 60}],
        "period_s": 0.5,
        "length": 10,
        "hop": 5,
        "disorder_s": 1,
        "max_missing": 0.2,
        "max_gap_s": math.inf,
        "idle_s": 30,
        "max_jump_s": 100,
        "active_when": {"sensor": "b", "above": 0.5},
    },
    "detector": {
        "model": "ae",
        "scorer": "error",
        "network": "tcn",
        "scaling": "standard",
        "k": 3,
        "alpha": 0,
        "latent_dim": 2,
        "index": "exact",
        "bank_windows": 50,
        "epochs": 5,
        "scale_per_machine": True,
        "calibration_share": 0.4,
        "device": "cpu",
        "seed": 7,
    },
    "alarm": {
        "budget_per_machine_day": 0.1,
        "m": 3,
        "n": 4,
        "close_after": 5,
        "severity": {"error": 3, "critical": 9},
        "min_severity": "warning",
        "max_extrapolation": 2,
        "mute": [
            {"machines": "p*", "from": "2024-07-01T22:00:00+02:00", "to": "2024-07-02T00:00:00Z"},
            {"weekly": {"days": ["sat"], "from": "22:00", "to": "06:00", "time_zone": "UTC"}},
        ],
    },
    "training": {
        "min_windows": 11,
        "every_windows": 500,
        "buffer_windows": 100,
        "history_share": 0.3,
        "half_life_s": 3600.0,
        "labelled_windows": 50,
        "every_s": 86400.0,
        "on_drift": True,
        "on_labels": 3,
        "cool_down_s": 60.0,
        "lead_s": 5.0,
        "quarantine_s": 7200.0,
        "alone": 2.0,
        "gate": {"held_out": 0.3, "recall_loss": 0.1, "worst_loss": 0.3, "labelled_loss": 0.2},
    },
    "registry": {"uri": "models", "keep": 4},
    "groups": {"press": {"match": ["press-*"], "alarm": {"m": 4}}},
}


def set_at(key: str, value: object) -> dict[str, Any]:
    """Return a tree with one key; numbers in the path are places in a list."""
    tree: Any = value
    for part in reversed(key.split(".")):
        tree = [{"name": "x"} | tree] if part.isdecimal() else {part: tree}
    assert isinstance(tree, dict)
    return tree


def refusal(tree: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_config(tree)
    return caught.value


NESTED = {
    *("active_when", "mute", "gate"),
    *("sensors", "fields", "csv", "severity", "good_quality"),
    *("topics", "security", "client", "bootstrap_servers"),
}


def test_every_key_of_every_section_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(WHOLE))
    config = load_config(file, {})
    assert config.groups["press"].model_dump(exclude_defaults=True) == WHOLE["groups"]["press"] | {
        "match": ("press-*",)
    }
    for name, section in WHOLE.items():
        if name == "groups":
            continue
        model = getattr(config, name)
        assert section.keys() == type(model).model_fields.keys(), name
        for key in section.keys() - NESTED:
            assert getattr(model, key) == section[key], key
    assert config.windows.sensors[1].min == -1000
    assert config.windows.active_when is not None
    assert config.windows.active_when.model_dump() == {"sensor": "b", "above": 0.5}
    once, weekly = (stop.model_dump(mode="json") for stop in config.alarm.mute)
    assert once == WHOLE["alarm"]["mute"][0] | {"weekly": None}
    assert weekly["weekly"] == WHOLE["alarm"]["mute"][1]["weekly"]
    assert parse_config(config.model_dump()) == config
    assert (config.alarm.severity.error, config.input.csv.decimal) == (3, ",")
    assert config.kafka.bootstrap_servers == ("a:9092", "b:9092")
    assert config.kafka.topics.scores == "s"
    assert config.kafka.security.protocol == "ssl"
    assert config.kafka.client.compression_type == "zstd"


def test_every_section_is_optional_and_may_stand_empty(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("windows:\nalarm: {}\n")
    assert load_config(file, {}) == Config() == parse_config({})
    file.write_text("# nothing\n")
    assert load_config(file, {}) == Config()


@pytest.mark.parametrize("part", ["machine_id", "time", "sensor", "value", "quality"])
@pytest.mark.parametrize("name", ["$key", "$header.line", "$header.a.b"])
def test_parts_of_a_record_may_stand_in_key_and_headers(part: str, name: str) -> None:
    config = parse_config(set_at(f"input.fields.{part}", name))
    assert getattr(config.input.fields, part) == name


@pytest.mark.parametrize("name", ["$", "$value", "$headers.x", "$header.", "$Key"])
def test_other_parts_of_a_message_are_no_fields(name: str) -> None:
    allowed = refusal(set_at("input.fields.time", name)).allowed
    assert allowed == "a field of the record, $key, or $header.NAME"


def test_values_stand_in_the_record() -> None:
    allowed = refusal(set_at("input.fields.values", "$key")).allowed
    assert allowed == "a field of the record: a key or header holds no values"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("windos", {}, "did you mean 'windows'?"),
        ("windows.hup", 1, "did you mean 'hop'?"),
        ("windows.sensors.0.units", "C", "did you mean 'unit'?"),
        ("alarm.severity.critcal", 5, "did you mean 'critical'?"),
        ("input.csv.quote", "x", "delimiter, decimal"),
        ("detector.model", "vae", "linear, ae, lis_ae"),
        ("detector.scorer", "joint", "'error', 'ares' or 'joined'"),
        ("detector.k", 0, "greater than or equal to 1"),
        ("detector.k", 2.5, "integer"),
        ("detector.k", "many", "integer"),
        ("detector.seed", -1, "greater than or equal to 0"),
        ("detector.seed", 2**32, "less than"),
        ("detector.calibration_share", 1, "less than or equal to 0.8"),
        ("windows.period_s", 0, "greater than or equal to"),
        ("windows.period_s", "often", "number"),
        ("windows.length", 0, "greater than or equal to 1"),
        ("windows.length", [8], "integer"),
        ("windows.max_missing", 1.01, "less than or equal to 1"),
        ("windows.disorder_s", -1, "greater than or equal to 0"),
        ("windows.max_jump_s", 0, "greater than 0"),
        ("alarm.m", 4, ""),
        ("alarm.budget_per_machine_day", 0, "greater than 0"),
        ("alarm.min_severity", "loud", "'critical'"),
        ("drift.max_per_day", -0.1, "greater than or equal to 0"),
        ("drift.max_total", float("inf"), "finite"),
        ("drift.report", "often", "number"),
        ("drift.max_day", 1, "did you mean 'max_per_day'?"),
        ("training.history_share", 1, "less than 1"),
        ("training.min_windows", 9, "greater than or equal to 10"),
        ("input.time_zone", "Europe/Atlantis", "IANA"),
        ("input.time_zone", "../etc/passwd", "IANA"),
        ("input.csv.delimiter", ";;", "at most 1"),
        ("input.csv.delimiter", "", "at least 1"),
        ("input.csv.decimal", ";", "'.' or ','"),
        ("input.format", "xml", "'reading'"),
        ("limits.nesting", 0, "greater than or equal to 1"),
        ("registry.uri", 5, "string"),
        ("registry.uri", "", "the path of a folder or a URI"),
        ("registry.uri", " ", "or null"),
        ("detector", [], "a section with keys"),
        ("training.on_drift", "often", "true or false"),
        ("kafka.topics.input", "plant readings", "1 to 249 letters without accents, digits"),
        ("kafka.topics.scores", "x" * 250, "1 to 249 letters without accents, digits"),
        ("kafka.topics.alerts", "x\n", "1 to 249 letters without accents, digits"),
        ("kafka.topics.state", "..", "1 to 249 letters without accents, digits"),
        ("windows.active_when", 5, "section with keys"),
        ("windows.active_when.abov", 5, "did you mean 'above'?"),
        ("alarm.mute", {}, "list"),
    ],
)
def test_a_wrong_key_type_or_range_is_refused_by_name(
    key: str, value: object, allowed: str
) -> None:
    error = refusal(set_at(key, value))
    assert allowed in error.allowed, error
    assert key.startswith(error.key)
    assert str(error).startswith(f"{error.key} = ")
    assert not {"tuple", "dictionary", "String"} & {*error.allowed.split()}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"windows": {"length": 4, "hop": 5}}, "hop at most length (4)"),
        ({"windows": {"sensors": ["a", "b", "a"]}}, "a stands there twice"),
        ({"windows": {"period_s": 60, "max_jump_s": 60}}, "at least two periods"),
        ({"windows": {"period_s": 86_400, "length": 12_000}}, "length x period_s at most 1e+09 s"),
        ({"windows": {"sensors": [{"name": "a", "min": 2, "max": 2}]}}, "min below max"),
        ({"windows": {"sensors": [""]}}, "at least 1"),
        ({"windows": {"sensors": [1]}}, "quotes"),
        ({"windows": {"sensors": [True]}}, "quotes"),
        ({"windows": {"sensors": "a, b"}}, "list"),
        ({"alarm": {"m": 3, "n": 2}}, "m at most n (2)"),
        ({"alarm": {"severity": {"error": 5}}}, "critical above error"),
        ({"input": {"csv": {"delimiter": ",", "decimal": ","}}}, "decimal"),
        ({"input": {"csv": {"delimiter": '"'}}}, "delimiter"),
        ({"input": {"csv": {"delimiter": "\n"}}}, "delimiter"),
        ({"input": {"fields": {"machine_id": "time"}}}, "machine_id and time"),
        ({"input": {"format": "long", "fields": {"time": "value"}}}, "time and value"),
        ({"windows": 5}, "a section"),
        ({"windows": ["a"]}, "a section"),
        ({5: {}}, "a known key"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tree: dict[str, Any], words: str) -> None:
    assert words in str(refusal(tree))


@pytest.mark.parametrize("value", ["broker", "broker:", "b:9092,", ["b:9092", "b:0"], ["b:65536"]])
def test_addresses_of_brokers_are_a_host_and_a_port(value: object) -> None:
    error = refusal(set_at("kafka.bootstrap_servers", value))
    assert error.key.startswith("kafka.bootstrap_servers.")
    assert error.allowed.startswith("host:port, such as broker-1:9092")


def numbers(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and type of every number in a tree of settings."""
    for name, field in model.model_fields.items():
        kinds = [field.annotation]
        while kinds:
            kind = kinds.pop()
            if get_origin(kind) in {Union, UnionType, tuple}:
                kinds += get_args(kind)
            elif get_origin(kind) is not None:
                kinds.append(get_args(kind)[0])  # Annotated
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from numbers(kind, f"{path}{name}." + "0." * (name == "sensors"))
            elif kind in {int, float} and name != "good_quality":
                yield f"{path}{name}", kind


NUMBERS = dict(numbers(Config))


def test_the_walk_over_all_numbers_finds_them() -> None:
    assert {"windows.period_s", "windows.sensors.0.max_gap_s", "alarm.severity.error"} <= {*NUMBERS}
    assert len(NUMBERS) > 30


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, True, False, "nan", "x", [], {}], ids=str)
def test_no_number_may_be_nan_a_truth_value_or_no_number(key: str, value: object) -> None:
    error = refusal(set_at(key, value))
    assert error.key == key or key.startswith(error.key)


@pytest.mark.parametrize("key", [k for k, kind in NUMBERS.items() if not k.endswith("max_gap_s")])
def test_only_a_gap_may_last_for_ever(key: str) -> None:
    refusal(set_at(key, math.inf))
    refusal(set_at(key, -math.inf))


def test_the_environment_is_laid_over_the_file(tmp_path: Path) -> None:
    file = write_config(tmp_path / "c.yaml")
    environ = {
        "STREAM_AD__WINDOWS__HOP": "2",
        "STREAM_AD__ALARM__SEVERITY__CRITICAL": "9.5",
        "STREAM_AD__WINDOWS__SENSORS": "[x, {name: y, unit: C}]",
        "STREAM_AD__REGISTRY__URI": "here",
        "STREAMING": "x",
    }
    config = load_config(file, environ)
    assert (config.windows.hop, config.windows.length) == (2, 8)
    assert config.alarm.severity.critical == 9.5
    assert [s.name for s in config.windows.sensors] == ["x", "y"]
    assert config.registry.uri == "here"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("STREAM_AD__WINDOWS__HUP", "2", "windows.hup = 2: allowed is a known key"),
        ("STREAM_AD__WINDOS__HOP", "2", "did you mean 'windows'?"),
        ("STREAM_AD__WINDOWS__HOP__X", "2", "windows.hop"),
        ("STREAM_AD__WINDOWS__HOP", "[", "YAML"),
        ("STREAM_AD__WINDOWS__HOP", "no", "windows.hop = False"),
        ("STREAM_AD__", "x", "a known key"),
        ("STREAM_AD_WINDOWS__HOP", "2", "STREAM_AD_WINDOWS__HOP"),
    ],
)
def test_a_misspelt_variable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    assert words in refused("config", "check", write_config(tmp_path / "c.yaml"))


def test_check_reads_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_config(tmp_path / "c.yaml")
    assert good("config", "check", file).out == f"{file}: good\n"
    monkeypatch.setenv("STREAM_AD__WINDOWS__HOP", "3")
    good("config", "check", file)


def test_check_says_every_problem_in_a_line_of_its_own(tmp_path: Path) -> None:
    tree = {"alarm": {"m": 0}, "windows": {"hup": 1}, "detector": {"k": 0}}
    answer = run("config", "check", write_config(tmp_path / "c.yaml", **tree))
    lines = answer.err.splitlines()
    assert answer.code == 2
    assert sorted(line.partition(" = ")[0] for line in lines) == [
        "error: alarm.m",
        "error: detector.k",
        "error: windows.hup",
    ]


def test_check_says_the_problems_of_all_groups(tmp_path: Path) -> None:
    groups = {
        "press": {"match": ["p*"], "alarm": {"mute": [], "m": 0}, "detector": {"k": 0}},
        "mill": {"match": ["m*"], "training": {"history_share": 0.5}},
    }
    answer = run("config", "check", write_config(tmp_path / "c.yaml", groups=groups))
    keys = [line.partition(" = ")[0] for line in answer.err.splitlines()]
    assert sorted(keys) == [
        "error: groups.mill.training.history_share",
        "error: groups.press.alarm.m",
        "error: groups.press.alarm.mute",
        "error: groups.press.detector.k",
    ]


@pytest.mark.parametrize(("wrong", "last"), [(10, None), (11, "1 problem"), (14, "4 problems")])
def test_check_says_ten_problems_and_how_many_more(
    tmp_path: Path, wrong: int, last: str | None
) -> None:
    keys = {f"x{number:02}": 1 for number in range(wrong)}
    *said, end = run(
        "config", "check", write_config(tmp_path / "c.yaml", drift=keys)
    ).err.splitlines()
    if last is None:
        said.append(end)
    else:
        assert end == "error: and " + last.replace(" ", " more ")
    assert [line.partition(" = ")[0] for line in said] == [
        f"error: drift.x{n:02}" for n in range(10)
    ]


def test_check_says_what_a_service_lacks(tmp_path: Path) -> None:
    topics: dict[str, str] = {"alerts": "a"}
    kafka = {"bootstrap_servers": ["b:9092"], "topics": topics}
    file = write_config(tmp_path / "c.yaml", kafka=kafka)
    lacking = "kafka.topics.input = None: allowed is the topic that the machines write to"
    assert good("config", "check", file).out == f"{file}: good for a replay; `run`: {lacking}\n"
    topics["input"] = "plant"
    write_config(file, kafka=kafka, registry={"uri": "models"})
    assert good("config", "check", file).out == f"{file}: good\n"


@pytest.mark.parametrize("role", ["alerts", "state", "dead_letter", "scores"])
def test_check_refuses_a_topic_that_has_two_parts(tmp_path: Path, role: str) -> None:
    topics = {"input": "plant", role: "plant"}
    file = write_config(tmp_path / "c.yaml", kafka={"topics": topics})
    assert f"kafka.topics.{role} = 'plant': allowed is a topic of its own" in refused(
        "config", "check", file
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"windows: [", "a YAML file"),
        (b"\xff\xfe", "a YAML file"),
        (b"- a\n- b\n", "a YAML file of sections"),
        (b"just words", "a YAML file of sections"),
        (b"windows: {hop: 1, hop: 2}", "'hop' stands there twice"),
        (b"windows: {}\nwindows: {}\n", "'windows' stands there twice"),
        (b"!!python/object/apply:os.system ['true']", "a YAML file"),
        (b"a: &x [*x]", "a known key"),
        (b"windows: {period_s: 60, sensors: []}", "windows.sensors"),
        (b"windows: {sensors: [a]}", "windows.period_s"),
        (b"? [a]\n: b\n", "YAML file"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: bytes, words: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(text)
    assert words in refused("config", "check", file)


def test_a_config_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused("config", "check", tmp_path / "absent.yaml")
    assert "directory" in refused("config", "check", tmp_path)


def test_the_schema_accepts_what_the_program_accepts_and_nothing_unknown() -> None:
    schema = orjson.loads(good("config", "schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    check.validate({})
    check.validate(WHOLE | {"windows": WHOLE["windows"] | {"max_gap_s": 5}})
    check.validate({"kafka": {"bootstrap_servers": "a:9092, b:9092"}})
    assert not check.is_valid({"windows": {"hup": 1}})
    assert not check.is_valid({"windos": {}})
    assert not check.is_valid({"detector": {"k": 0}})


@pytest.mark.parametrize(
    "name", ["reading", "long", "window", "incident", "score", "label", "model", "activation"]
)
def test_schemas_of_records_are_schemas(name: str) -> None:
    schema = orjson.loads(good("config", "schema", name).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"machine_id", "machine_group"} & schema["properties"].keys()


def test_an_unknown_schema_is_refused() -> None:
    assert "reading, long, window" in refused("config", "schema", "readings")


PRESS = {"match": ["press-*"]}


@pytest.mark.parametrize(
    ("groups", "key", "words"),
    [
        ({"default": PRESS}, "groups.default", "but default"),
        ({"../x": PRESS}, "groups.../x", "a name of 1 to 64 letters"),
        ({"press": {}}, "groups.press.match", "has to be there"),
        ({"press": {"match": []}}, "groups.press.match", "a list with at least 1"),
        ({"press": PRESS | {"detector": {"k": 0}}}, "groups.press.detector.k", "greater than"),
        ({"press": PRESS | {"detector": {"kk": 1}}}, "groups.press.detector.kk", "mean 'k'"),
        ({"press": PRESS | {"alarm": {"m": 7}}}, "groups.press.alarm", "m at most n"),
        ({"press": PRESS | {"alarm": {"mute": []}}}, "groups.press.alarm.mute", "all machines"),
        ({"press": PRESS | {"windows": {}}}, "groups.press.windows", "a known key"),
    ],
)
def test_a_group_that_cannot_be_is_refused(groups: Any, key: str, words: str) -> None:
    error = refusal({"groups": groups})
    assert words in str(error)
    assert key in error.key


def test_a_group_changes_what_it_names_and_nothing_else() -> None:
    press = PRESS | {"alarm": {"severity": {"error": 3}}, "training": {"gate": {"held_out": 0.4}}}
    config = parse_config({"alarm": {"n": 5}, "groups": {"press": press}})
    own = config.of_group("press")
    assert (own.alarm.n, own.alarm.severity.error, own.alarm.severity.critical) == (5, 3, 4)
    assert own.training.gate.held_out == 0.4
    assert own.windows is config.windows
    assert config.of_group("default") is config
    assert parse_config({"groups": None}) == Config()


ONCE = {"from": "2024-07-01T22:00:00Z", "to": "2024-07-02T06:00:00Z"}
NIGHTS = {"days": ["sat"], "from": "22:00", "to": "06:00"}


@pytest.mark.parametrize(
    ("stop", "key", "allowed"),
    [
        (ONCE | {"to": ONCE["from"]}, "to", "a time after from (2024-07-01T22:00:00+00:00)"),
        (ONCE | {"from": "2024-07-01"}, "from", "RFC 3339 with its zone"),
        (ONCE | {"from": "2024-07-01T22:00:00"}, "from", "RFC 3339 with its zone"),
        (ONCE | {"from": "2024-02-30T22:00:00Z"}, "from", "RFC 3339 with its zone"),
        (ONCE | {"to": "2262-01-01T00:00:00Z"}, "to", "from 1970 to 2261"),
        (ONCE | {"to": 1_720_000_000}, "to", "RFC 3339 with its zone"),
        ({"from": ONCE["from"]}, "", "from and to, or weekly"),
        ({"machines": "a"}, "", "from and to, or weekly"),
        (ONCE | {"weekly": NIGHTS}, "", "from and to, or weekly"),
        (ONCE | {"form": "x"}, "form", "did you mean 'from'?"),
        ({"machine": "a"}, "machine", "did you mean 'machines'?"),
        (ONCE | {"machines": ""}, "machines", "at least 1"),
        ({"weekly": NIGHTS | {"days": ["sat", "sonday"]}}, "weekly.days.1", "'sat' or 'sun'"),
        ({"weekly": NIGHTS | {"days": []}}, "weekly.days", "at least 1"),
        ({"weekly": NIGHTS | {"from": 1320}}, "weekly.from", 'in quotes, from "00:00"'),
        ({"weekly": NIGHTS | {"from": "24:00"}}, "weekly.from", "day after"),
        ({"weekly": NIGHTS | {"to": "6:00"}}, "weekly.to", 'such as "22:00"'),
        ({"weekly": NIGHTS | {"to": "23:60"}}, "weekly.to", 'such as "22:00"'),
        ({"weekly": NIGHTS | {"time_zone": "Europe/Berln"}}, "weekly.time_zone", "IANA"),
        ({"weekly": NIGHTS | {"form": "x"}}, "weekly.form", "did you mean 'from'?"),
    ],
)
def test_a_planned_stop_that_cannot_be_is_refused_by_name(
    stop: dict[str, Any], key: str, allowed: str
) -> None:
    error = refusal({"alarm": {"mute": [stop]}})
    assert error.key == f"alarm.mute.0.{key}".rstrip(".")
    assert allowed in error.allowed, error


def test_an_active_sensor_that_is_none_is_refused_with_those_there_are() -> None:
    active = {"sensor": "lod", "above": 5}
    error = refusal({"windows": {"sensors": ["load", "heat"], "active_when": active}})
    assert error.key == "windows.active_when"
    assert "'lod'" in str(error)
    assert error.allowed == "a sensor of windows.sensors: load, heat"
    error = refusal({"windows": {"active_when": {"sensor": "load"}}})
    assert (error.key, error.allowed[:7]) == ("windows.active_when.above", "a value")


def test_times_need_no_quotes_and_clocks_without_them_are_not_misread(tmp_path: Path) -> None:
    """YAML would make a date of one, and minutes of the other."""
    file = tmp_path / "c.yaml"
    file.write_text("alarm: {mute: [{from: 2024-07-01T22:00:00Z, to: 2024-07-01T22:00:01Z}]}\n")
    (stop,) = load_config(file, {}).alarm.mute
    assert stop.from_ is not None
    assert stop.from_.isoformat() == "2024-07-01T22:00:00+00:00"
    file.write_text("alarm: {mute: [{from: 2024-07-01T22:00:00Z, to: 2024-07-01T21:00:00Z}]}\n")
    with pytest.raises(ConfigError, match="to = '2024-07-01T21:00:00Z'"):
        load_config(file, {})
    file.write_text("alarm: {mute: [{weekly: {days: [sat], from: 22:00, to: 06:00}}]}\n")
    with pytest.raises(ConfigError, match=r"from = 1320.*in quotes"):
        load_config(file, {})
    variable = {
        "STREAM_AD__ALARM__MUTE": "[{from: 2024-07-01T22:00:00Z, to: 2024-07-02T00:00:00Z}]"
    }
    assert load_config(None, variable).alarm.mute[0].machines == "*"
