"""From a YAML file and the environment to checked settings, or to a sentence about one key."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import ValidationError

from stream_ad.config.groups import OVERRIDDEN, GroupConfig
from stream_ad.config.tree import Config
from stream_ad.errors import ConfigError
from stream_ad.redaction import HIDDEN, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ENV_PREFIX = "STREAM_AD__"

# Keys of a group that hold for all machines; the grid is one, so that one topic is read once.
FOR_ALL = {"alarm": "mute", "training": "history_share"}

ABSENT = object()

# Only from the environment, where their text is taken as it is, or from files of their own.
SECRETS = ("kafka.security.password", "kafka.security.key_password")


def load_config(path: Path | None, environ: Mapping[str, str] | None = None) -> Config:
    """Read a YAML file, lay the environment over it and check everything.

    Parameters
    ----------
    path : Path or None
        The file; None means defaults and environment only.
    environ : mapping of str, optional
        Defaults to the process environment.

    Raises
    ------
    ConfigError
        As `parse_config`; also for a file that cannot be read, and for a secret in it.

    Examples
    --------
    >>> load_config(None, {"STREAM_AD__WINDOWS__HOP": "8"}).windows.hop
    8
    """
    return parse_config(read_settings(path, environ))


def read_settings(path: Path | None, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return file and environment as one unchecked tree; see `load_config`."""
    tree = {} if path is None else _read_yaml(path)
    _refuse_secrets(tree)
    for keys, value in _from_environment(os.environ if environ is None else environ):
        _put(tree, keys, value)
    return tree


def parse_config(tree: dict[str, Any]) -> Config:
    """Check a tree of settings that is already in memory.

    Parameters
    ----------
    tree : dict
        Sections as in the YAML file.

    Raises
    ------
    ConfigError
        Names the key, the value and what is allowed, of each of the first ten problems.

    Examples
    --------
    >>> parse_config({"windows": {"hup": 1}})
    Traceback (most recent call last):
    ...
    stream_ad.errors.ConfigError: windows.hup = 1: allowed is a known key (did you mean 'hop'?)
    """
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise _together(_problems(error)) from None
    if wrong := [one for name in config.groups for one in _of_group(config, name)]:
        raise _together(wrong)
    return config


def _of_group(config: Config, name: str) -> Iterator[ConfigError]:
    """Yield what is wrong with the settings of a group."""
    group = config.groups[name]
    for section, key in FOR_ALL.items():
        if key in getattr(group, section):
            value = getattr(group, section)[key]
            allowed = f"nothing here: {section}.{key} holds for all machines"
            yield ConfigError(f"groups.{name}.{section}.{key}", value, allowed)
    for section in OVERRIDDEN:
        alone = config.model_copy(update={"groups": {name: _only(group, section)}})
        try:
            alone.of_group(name)
        except ValidationError as error:
            yield from _problems(error, ("groups", name), (section,))


def _only(group: GroupConfig, section: str) -> GroupConfig:
    rest: dict[str, Any] = {other: {} for other in OVERRIDDEN if other != section}
    return group.model_copy(update=rest)


def _refuse_secrets(tree: dict[str, Any]) -> None:
    for key in SECRETS:
        if _get(tree, key.split(".")) not in (ABSENT, None):
            name = f"{ENV_PREFIX}{key.upper().replace('.', '__')}"
            raise ConfigError(key, HIDDEN, f"nothing here: set {name}, or {key}_file to a file")


class _Loader(yaml.SafeLoader):
    """YAML without its silence about keys that stand twice; times stay the text they are."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - a copy, of what the parent declares so
        sign: [one for one in known if one[0] != "tag:yaml.org,2002:timestamp"]
        for sign, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        seen: set[str] = set()
        for key in keys:
            if key.value in seen:
                problem = f"{key.value!r} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe one
    except OSError as error:
        raise ConfigError("--config", str(path), f"a readable file ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("--config", str(path), f"a YAML file ({_where(error)})") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError("--config", str(path), "a YAML file of sections, such as windows:")
    return tree


def _where(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    # Not the error's own text: it quotes the line, and a secret may stand there.
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "not even text in UTF-8"
    mark = error.problem_mark
    return f"{error.problem}, line {mark.line + 1}, column {mark.column + 1}"


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[list[str], Any]]:
    # pydantic-settings passes over variables that fit no field; a misspelt one must not pass.
    for name, text in sorted(environ.items()):
        if name.startswith("STREAM_AD_") and not name.startswith(ENV_PREFIX) and "__" in name:
            raise ConfigError(name, shown([name], text), f"a name such as {ENV_PREFIX}SECTION__KEY")
        if name.startswith(ENV_PREFIX):
            keys = name.removeprefix(ENV_PREFIX).lower().split("__")
            yield keys, _value_of(name, text, secret=".".join(keys) in SECRETS)


def _value_of(name: str, text: str, *, secret: bool) -> object:
    if secret:
        return text or None
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe one
    except yaml.YAMLError:
        raise ConfigError(name, shown([name], text), "a YAML value") from None


def _put(tree: dict[str, Any], keys: list[str], value: object) -> None:
    for depth, key in enumerate(keys[:-1]):
        if tree.get(key) is None:
            tree[key] = {}
        branch = tree[key]
        if not isinstance(branch, dict):
            said = shown(keys[: depth + 1], branch)
            raise ConfigError(".".join(keys[: depth + 1]), said, "a section with keys of its own")
        tree = branch
    tree[keys[-1]] = value


def _get(tree: object, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return ABSENT
        tree = tree[key]
    return tree


_ALLOWED = {
    "model_type": "a section with keys of its own",
    "dict_type": "a section with keys of its own",
    "tuple_type": "a list",
    "too_short": "a list with at least {min_length}",
    "too_long": "a list with at most {max_length}",
    "string_too_short": "a text with at least {min_length} sign",
    "string_too_long": "a text with at most {max_length} sign",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "missing": "a value: this key has to be there",
}


def _together(problems: Sequence[ConfigError]) -> ConfigError:
    """Return one error that says them all; it is of the key that the first one names."""
    first, *others = problems
    return ConfigError(first.key, first.value, first.allowed, others)


def _problems(
    error: ValidationError, where: tuple[str, ...] = (), section: tuple[str, ...] = ()
) -> list[ConfigError]:
    """Return what pydantic found, in our words, in the order in which to look at it."""
    # a key that is not known is often the one that is missing, misspelt
    found = sorted(error.errors(), key=lambda problem: problem["type"] == "missing")
    return [_translate(problem, where, section) for problem in found]


def _translate(
    problem: ErrorDetails, where: tuple[str, ...], section: tuple[str, ...]
) -> ConfigError:
    loc = (*section, *problem["loc"])
    key = ".".join(str(part) for part in (*where, *loc)) or "config"
    text = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if problem["type"] in _ALLOWED:
        text = _ALLOWED[problem["type"]].format(**problem.get("ctx", {}))
    if problem["type"] in {"extra_forbidden", "invalid_key"}:
        text = _known_keys(loc)
    return ConfigError(key, shown(loc, problem["input"]), text)


def _known_keys(loc: tuple[int | str, ...]) -> str:
    keys = _keys(Config)
    for part in loc[:-1]:
        if part in keys:  # places in a list are not
            keys = _keys(keys[part])
    names = [str(name) for name in keys]
    near = difflib.get_close_matches(str(loc[-1]), names, n=1)
    if near:
        return f"a known key (did you mean {near[0]!r}?)"
    return f"a known key: {', '.join(names)}"


def _keys(kind: Any) -> dict[int | str, Any]:
    """Return the kind of value of every key of a section, however deep in a type it stands."""
    if not hasattr(kind, "model_fields"):
        return next(filter(None, map(_keys, get_args(kind))), {})
    fields = kind.model_fields.items()
    return {field.alias or name: field.annotation for name, field in fields}
