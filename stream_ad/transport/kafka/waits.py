"""How long the service waits for what, in one place: each limit leaves room for the one before.

For one answer of a broker, in order: `ANSWER_MS`, `TRY_MS`, a transaction's own time-out. Beyond
that time-out, in seconds: `/livez` says that the loop is stuck (`STUCK_S`), the brokers have ended
whatever was open (`ENDED_S`), the watchdog ends the process (`WATCHDOG_S`), `/livez` says that
nothing is taken though there is something (`STALLED_S`), the group gives a silent loop up
(`GIVEN_UP_S`), which a watchdog that works never lets happen.
"""

from __future__ import annotations

PAUSE_S = 0.1  # before a poll that failed is made again
LOOK_MS = 1_000  # of a question that may wait for long: between two looks at the wish to end
POLL_MS = 500  # a rejoin that does not fit into one poll of less can leave the group stuck
ANSWER_MS = 10_000  # of a question about offsets; unanswered, the partitions are read again
TRY_MS = 10_000  # a constructor's wait for a broker; `patiently` tries again
RECONNECT_MS = 2_000  # longest pause between two connections to one broker
BLOCK_MS = 15_000  # of `send` and `init_transactions` for a broker that says who leads
CLOSE_S = 1.0  # to end a client; what it still owes was committed or will be read again

STUCK_S = 10.0
ENDED_S = 15.0  # brokers look for transactions that timed out every ten seconds
WATCHDOG_S = 30.0
STALLED_S = 120.0
GIVEN_UP_S = 300.0
