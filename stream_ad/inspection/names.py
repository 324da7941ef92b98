"""What column names usually mean; a guess that the cells must confirm."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stream_ad.transport import fields

TIME = (
    *("time", "timestamp", "datetime", "eventtime", "ts", "zeitstempel", "zeitpunkt"),
    *("measuredat", "recordedat", "createdat", "sourcetimestamp", "servertimestamp"),
    *("timeutc", "utc", "utctime", "datetimeutc", "localtime", "timestamputc", "timestamplocal"),
    *("epoch", "unixtime", "unix", "times", "timems", "timeus", "timens", "tsms", "epochms"),
    *("timestamps", "timestampms", "timestampus", "timestampns", "datumzeit", "datumuhrzeit"),
    *("date", "datum", "zeit", "uhrzeit", "when", "start", "t"),
)
MACHINE = (
    *("machine", "device", "asset", "equipment", "maschine", "anlage", "turbine", "vehicle"),
    *("robot", "engine", "pump", "press", "well", "motor"),
)
MACHINE_WEAK = (  # these also name other things
    *("unit", "line", "host", "hostname", "instance", "station", "plant", "node", "site"),
    *("linie", "cell", "entity", "source", "serial", "name", "id"),
)
SENSOR = (
    *("sensor", "tag", "signal", "variable", "parameter", "param", "channel", "metric"),
    *("measurement", "point", "attribute", "field", "item", "node", "kanal", "messstelle"),
    *("messgroesse", "name", "key"),
)
VALUE = ("value", "val", "v", "wert", "messwert", "reading", "measuredvalue", "numericvalue")
QUALITY = ("quality", "qualitycode", "q", "qual", "statuscode", "status", "opcquality")
UNITS = frozenset(
    (
        *("c", "°c", "degc", "f", "°f", "k", "%", "bar", "mbar", "pa", "kpa", "mpa"),
        *("psi", "a", "ma", "v", "mv", "kv", "w", "kw", "mw", "kwh", "hz", "khz"),
        *("rpm", "1/min", "s", "ms", "min", "h", "m", "mm", "cm", "um", "µm", "m/s"),
        *("mm/s", "g", "l", "l/min", "m3/h", "m³/h", "nm", "n", "kn", "kg", "t"),
    )
)
_ID_ENDINGS = ("", "id", "name", "no", "nr", "number", "code", "key", "uuid", "tag")
_LABEL = re.compile(
    r"(is|has)?(anomal(y|ies|ous)|outliers?|faults?|faulty|attacks?|failures?|labels?"
    r"|normalattack|changepoints?|groundtruth|gt|class|target)(label|flag|class|type|kind|code)?"
)


def plain(name: str) -> str:
    """Return lower-case letters and digits only.

    Examples
    --------
    >>> plain("Machine_ID"), plain("Date/Time")
    ('machineid', 'datetime')
    """
    return "".join(sign for sign in name.lower() if sign.isalnum())


def rank(name: str, known: Iterable[str], *, ids: bool = False) -> int | None:
    """Return the place of a name, or of the last part of a dotted path, among known ones.

    Parameters
    ----------
    name : str
        A column.
    known : iterable of str
        The likeliest first.
    ids : bool
        Whether ``device`` also stands for ``device_id``, ``device no`` and the like.

    Examples
    --------
    >>> rank("meta.deviceId", ("machine", "device"), ids=True), rank("temp", MACHINE)
    (1, None)
    """
    own = {plain(name), plain(name.rpartition(".")[2])}
    for place, word in enumerate(known):
        if own & ({word + ending for ending in _ID_ENDINGS} if ids else {word}):
            return place
    return None


def is_label(name: str) -> bool:
    """Return whether a name says that the column marks known anomalies.

    Examples
    --------
    >>> is_label("is_anomaly"), is_label("changepoint"), is_label("fault_current")
    (True, True, False)
    """
    return bool(_LABEL.fullmatch(plain(name.rpartition(".")[2])))


def listed(names: Iterable[str], most: int = 5) -> str:
    """Return names for a sentence: the first few, and how many more.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    '`a`, `b` and 1 more'
    """
    return fields.listed((f"`{name}`" for name in names), most)
