"""`python -m simulators`: labelled test streams into files or Kafka."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from simulators import recordings
from simulators.dialect import RECORDS, Dialect
from simulators.factory import Factory
from simulators.faults import FAULT_KINDS
from simulators.records import time_zone
from simulators.stream import Chunk
from simulators.topic import write_topic
from simulators.writers import WRITERS, write_faults

Write = Callable[[Iterable[Chunk], Dialect], int]
DAY_S = 86_400.0
_DEFAULT = "%(default)s"

EXAMPLES = """examples:
  python -m simulators factory --days 14 --faults 6 --labels-column --out factory.csv
  python -m simulators factory --format csv --delimiter ';' --decimal , \\
      --local-time Europe/Berlin --out dialect.csv
  python -m simulators factory --record long --disorder 90 --out values.jsonl
  python -m simulators factory --kafka localhost:9092 --topic plant --speed 60
  python -m simulators recording hydraulic --out hydraulic.csv
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 for a file problem, 2 for a bad argument."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        message = options.run(options)
    except ValueError as error:
        options.parser.error(str(error))
    except OSError as error:
        where = options.out or f"topic {options.topic}"
        sys.stderr.write(f"{parser.prog}: cannot write {where}: {error.strerror or error}\n")
        return 1
    sys.stdout.write(message + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators",
        description="Write labelled sensor streams to try things on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_factory(commands)
    _add_recording(commands)
    return parser


def _add_factory(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "factory",
        help="a simulated factory with shifts, weekends, tool wear and labelled faults",
        description="Simulate a factory. Beside OUT the truth is written to OUT.faults.csv: "
        "machine_id, kind, sensors, start, end, severity. With --kafka it is TOPIC.faults.csv.",
    )
    parser.set_defaults(run=_factory, parser=parser)
    _add_factory_options(parser.add_argument_group("factory"))
    _add_fault_options(parser.add_argument_group("faults"))
    _add_file_options(parser.add_argument_group("file"))
    _add_kafka_options(parser.add_argument_group("Kafka, instead of a file"))


def _add_factory_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--machines", type=int, default=3, metavar="N", help=f"how many ({_DEFAULT})")
    add("--sensors", type=int, default=8, metavar="N", help=f"of each machine ({_DEFAULT})")
    add("--days", type=_positive, default=14.0, help=f"length of the stream ({_DEFAULT})")
    add("--period", type=_positive, default=60.0, metavar="S", help=f"of readings ({_DEFAULT} s)")
    add("--start", default="2024-01-01T00:00:00Z", help=f"work begins Mondays 06:00 ({_DEFAULT})")
    add("--seed", type=int, default=0, help=f"same seed, same file ({_DEFAULT})")
    add("--disorder", type=float, default=0.0, metavar="S", help="readings arrive up to S s late")
    add("--losses", type=float, default=0.2, help=f"of a sensor, per machine-day ({_DEFAULT})")
    add("--on-change", nargs="+", default=[], metavar="SENSOR", help="these report only changes")


def _add_fault_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    kinds = ", ".join(FAULT_KINDS)
    add("--faults", type=int, default=6, metavar="N", help=f"0 = a healthy factory ({_DEFAULT})")
    add("--kinds", nargs="+", choices=FAULT_KINDS, default=[], metavar="KIND", help=kinds)
    add("--severity", type=_positive, default=1.0, help=f"factor on their size ({_DEFAULT})")
    add("--clean-days", type=float, metavar="DAYS", help="no fault before (half of the stream)")


def _add_file_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--out", type=Path, metavar="FILE", help="where to write")
    add("--format", choices=WRITERS, help="of FILE (by its ending)")
    add("--record", choices=RECORDS, default="reading", help=f"what a row is ({_DEFAULT})")
    add("--window-length", type=int, default=64, metavar="N", help=f"readings ({_DEFAULT})")
    add("--delimiter", default=",", help="between csv columns (%(default)r)")
    add("--decimal", default=".", help="decimal mark of csv, '.' or ',' (%(default)r)")
    add("--local-time", metavar="ZONE", help="naive local times, as of Europe/Berlin (UTC)")
    add(
        "--labels-column",
        nargs="?",
        const="label",
        metavar="NAME",
        help="add a column or field 'label' (or NAME): 1 where a fault acts, else 0",
    )


def _add_kafka_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--kafka", metavar="HOST:PORT", help="brokers; one JSON record per message")
    add("--topic", metavar="NAME", help="it has to exist; the key is the machine")
    add("--speed", type=_positive, metavar="X", help="X seconds of the stream a second (no limit)")


def _add_recording(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("recording", help="copy out a small recording of a real rig")
    parser.add_argument("name", choices=recordings.NAMES, help="which one")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.set_defaults(run=_recording, parser=parser)


def _factory(options: argparse.Namespace) -> str:
    write, dialect = _target(options), _dialect(options)
    factory = Factory(
        options.machines,
        options.sensors,
        options.period,
        options.seed,
        options.start,
        disorder_s=options.disorder,
        losses_per_day=options.losses,
        on_change=options.on_change,
    )
    duration_s = options.days * DAY_S
    clean_s = None if options.clean_days is None else options.clean_days * DAY_S
    faults = factory.schedule(
        options.faults, duration_s, clean_s, kinds=options.kinds, severity=options.severity
    )
    chunks = factory.readings(duration_s=duration_s, faults=faults)
    count = write(chunks, dialect)
    truth = Path(f"{options.out or options.topic}.faults.csv")
    write_faults(faults, truth, factory.layout, factory.start_ns)
    machines = f"{options.machines} machine{'s' if options.machines != 1 else ''}"
    told = f"{count} {'readings' if options.out else 'records'} of {machines}"
    where = options.out or f"topic {options.topic}"
    return f"{told} in {where}, {len(faults)} faults in {truth}"


def _target(options: argparse.Namespace) -> Write:
    """Return what writes the stream."""
    if options.kafka is None:
        return _file(options)
    if options.out is not None or options.format is not None:
        raise ValueError("--kafka: not beside --out or --format")
    if not options.topic or not re.fullmatch("[A-Za-z0-9._-]{1,249}", options.topic):
        raise ValueError("--topic: give the topic's name, letters, digits and ._-")

    def write(chunks: Iterable[Chunk], dialect: Dialect) -> int:
        return write_topic(chunks, options.kafka, options.topic, dialect, options.speed)

    return write


def _file(options: argparse.Namespace) -> Write:
    if options.topic is not None or options.speed is not None:
        raise ValueError("--topic and --speed: only with --kafka")
    if options.out is None:
        raise ValueError("--out: give a file, or --kafka and --topic")
    writer = WRITERS[_format(options.format, options.out)]

    def write(chunks: Iterable[Chunk], dialect: Dialect) -> int:
        return writer(chunks, options.out, dialect)

    return write


def _dialect(options: argparse.Namespace) -> Dialect:
    if options.record == "window" and (options.disorder or options.local_time):
        raise ValueError("record: window has neither --disorder nor --local-time")
    zone = time_zone(options.local_time) if options.local_time else None
    return Dialect(
        options.record,
        options.delimiter,
        options.decimal,
        zone=zone,
        label=options.labels_column,
        window_length=options.window_length,
    )


def _format(asked: str | None, out: Path) -> str:
    name: str = asked or out.suffix.removeprefix(".")
    if name not in WRITERS:
        raise ValueError(f"--format: {out} ends in none of .{', .'.join(WRITERS)}; give --format")
    return name


def _positive(text: str) -> float:
    """Read a number above 0; argparse puts the option's name before the message."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a number above 0")
    return number


def _recording(options: argparse.Namespace) -> str:
    options.out.write_bytes(recordings.path(options.name).read_bytes())
    return f"{options.name} in {options.out}; licence and columns: {recordings.about()}"


if __name__ == "__main__":
    sys.exit(main())
