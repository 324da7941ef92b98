"""A seeded factory that never stood anywhere, and small recordings of rigs that did.

For tests, demonstrations and first steps: labelled sensor streams in the shapes that real plants
send. Nothing here knows the detector; what leaves is rows, JSON records and files.
"""

from simulators.factory import Factory
from simulators.faults import FAULT_KINDS, Fault
from simulators.stream import Chunk, Layout

__all__ = ["FAULT_KINDS", "Chunk", "Factory", "Fault", "Layout"]
