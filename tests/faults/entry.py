"""Runs a module of the product for the fault kit: `python -m tests.faults.entry MODULE ARGUMENT…`.

What the tables say in half minutes is made seconds, so that a run need not wait: how long a
message stays hidden that its worker took to the grave, and when dead letters are tried again. What
is scheduled is not spread over a minute: it would be under way when customers' events have arrived.
FAULTS_BACKOFF_SECONDS does the same for how long a pack that fails is put off at the most, and
FAULTS_UNKNOWN_KEY_SECONDS for how often a token's unknown key has the keys read again.
FAULTS_WITHOUT names a protection to switch off (`tests/faults/mutations.py`), to show that the
checker notices. FAULTS_CLOCK_SECONDS puts the process's clock forward, or back; what measures how
long something takes is not concerned.
"""

import os
import runpy
import sys
import time
from functools import partial

from msgspec.structs import replace

from config import queues, schedules

VISIBILITY_SECONDS = 5
HIDE_SECONDS = 3
WAIT_SECONDS = 2
RETRY_EVERY_SECONDS = 3
RETRIES = "retry-dead-letters"
UNKNOWN_KEY_VARIABLE = "FAULTS_UNKNOWN_KEY_SECONDS"


def hasten() -> None:
    """Replace the declared tables, before anybody imports them by name."""
    table, plan = queues.load(), schedules.load()
    rows = {
        name: replace(row, visibility_seconds=VISIBILITY_SECONDS)
        for name, row in table.queues.items()
    }
    if backoff := int(os.environ.get("FAULTS_BACKOFF_SECONDS", "0")):
        rows = {
            name: replace(row, backoff_base_seconds=backoff, backoff_cap_seconds=backoff)
            for name, row in rows.items()
        }
    letters = replace(table.dead_letters, wait_seconds=WAIT_SECONDS)
    quick = replace(table, queues=rows, dead_letters=letters)
    due = {name: replace(row, jitter_seconds=0) for name, row in plan.schedules.items()}
    due[RETRIES] = replace(due[RETRIES], every_seconds=RETRY_EVERY_SECONDS)
    quick_plan = replace(plan, schedules=due)
    queues.declared = lambda: quick  # type: ignore[assignment]
    schedules.declared = lambda: quick_plan  # type: ignore[assignment]
    from tasks import replaying  # noqa: PLC0415 - it imports a table by name

    replaying.HIDE_SECONDS = HIDE_SECONDS


def ask_for_keys(every_seconds: float) -> None:
    """Have a key set that is imported from now on be read again so often."""
    from serving import keys  # noqa: PLC0415 - it is the request path's alone

    keys.KeySet = partial(keys.KeySet, unknown_key_seconds=every_seconds)  # type: ignore[misc, assignment]


def put_clock(seconds: float) -> None:
    """Have everything that is imported from now on believe another time."""
    true_time = time.time
    time.time = lambda: true_time() + seconds


def main() -> None:
    """Become the module."""
    put_clock(float(os.environ.get("FAULTS_CLOCK_SECONDS", "0")))
    hasten()
    if seconds := os.environ.get(UNKNOWN_KEY_VARIABLE):
        ask_for_keys(float(seconds))
    if protection := os.environ.get("FAULTS_WITHOUT"):
        from tests.faults import mutations  # noqa: PLC0415

        mutations.switch_off(protection)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
