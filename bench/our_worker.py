"""Runs one group of our workers as `workers.worker` does, with effects that the bench can see.

`python -m bench.our_worker GROUP memory|names|kinesis`: `memory` applies every job to the shared
sink of numbered events; `names` writes down the event id of each; `kinesis` really sends analytics
to the stream and then notes it in the sink.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from adapters.connection import connect
from adapters.prometheus_metrics import Metrics
from bench.numbered import number_of
from bench.sink import ENVIRONMENT, Sink
from config import settings
from config.queues import declared
from domain.jobs import AppendAudit, CountInteraction, EmitAnalytics, NotePreference
from domain.ports import AnalyticsStream, CountOutcome, Given, Ports, TaskMetrics
from domain.sessions import Session, Turn
from domain.summaries import extract
from workers import lifecycle


@cache
def _sink(what: str) -> Sink:
    """The sink of one kind of effect, opened when the first comes."""
    return Sink(Path(f"{os.environ[ENVIRONMENT]}-{what}"))


Mark = Callable[[str, str], None]
"""Takes a kind of effect and the id of an event that had it."""


def _by_number(what: str, event_id: str) -> None:
    _sink(what).apply(number_of(event_id))


def _by_name(what: str, event_id: str) -> None:
    os.write(_names(what), f"{event_id}\n".encode())


@cache
def _names(what: str) -> int:
    """The file of the ids that had one kind of effect, kept open."""
    path = names_file(Path(os.environ[ENVIRONMENT]), what)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def names_file(sink: Path, what: str) -> Path:
    """Where `names` writes down what had one kind of effect."""
    return Path(f"{sink}-{what}.names")


class _Analytics:
    """Analytics that are marked alone, or sent to a real stream first."""

    def __init__(self, mark: Mark, stream: AnalyticsStream | None = None) -> None:
        self._mark = mark
        self._stream = stream

    def put(self, records: Sequence[EmitAnalytics]) -> Mapping[str, str]:
        failed = self._stream.put(records) if self._stream else {}
        for record in records:
            if record.event_id not in failed:
                self._mark("analytics", record.event_id)
        return failed


class _Audit:
    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def append(self, lines: Sequence[AppendAudit]) -> Mapping[str, str]:
        for line in lines:
            self._mark("audit", line.event_id)
        return {}


class _Sessions:
    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def add_turns(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        for turn in turns:
            self._mark("sessions", turn.event_id)
        return Session(session_id, owner).with_turns(turns)

    def get(self, session_id: str, owner: str) -> Session | None:
        return Session(session_id, owner)

    def summarise(self, session: Session) -> Session | None:
        """No session here is long enough."""
        return None

    def reword(self, session: Session) -> Session | None:
        """As above."""
        return None

    def retract(self, given: Given, note: str) -> Session | None:
        """No answer here is checked."""
        return None


class _SessionCopies:
    def put(self, sessions: Sequence[Session]) -> None:
        """A copy is no effect of its own."""

    def restore_owner(self, session_id: str, owner: str) -> None:
        """Nobody else claims a session here."""


class _Counts:
    def __init__(self, mark: Mark) -> None:
        self._mark = mark

    def count(self, interactions: Sequence[CountInteraction]) -> CountOutcome:
        for interaction in interactions:
            self._mark("counts", interaction.event_id)
        return CountOutcome(applied=len(interactions))

    def scores(self, now: float) -> Mapping[str, float]:
        return {}


class _HotUsers:
    def note(self, interactions: Sequence[CountInteraction]) -> None:
        """What is remembered of users is no effect of its own."""

    def note_seen(self, user_ids: Iterable[str]) -> None:
        """As above."""


class _Recommendations:
    def mark(self, user_ids: Iterable[str], at: float) -> None:
        """As above."""


class _Preferences:
    def note(self, notes: Sequence[NotePreference]) -> None:
        """As above."""


def marking(mark: Mark, metrics: TaskMetrics) -> Ports:
    """Ports whose every effect is a mark."""
    absent = cast("Any", None)  # not reached for by the jobs of a benchmark
    return Ports(
        clock=time.time,
        today=absent,
        answers=absent,
        responses=absent,
        checks=absent,
        counts=_Counts(mark),
        sessions=_Sessions(mark),
        summarise=extract,
        session_copies=_SessionCopies(),
        preferences=_Preferences(),
        analytics=_Analytics(mark),
        audit=_Audit(mark),
        parking=absent,
        failures=absent,
        dead_letters=absent,
        catalogue=absent,
        features=absent,
        users=absent,
        hot_users=cast("Any", _HotUsers()),
        recommendations=cast("Any", _Recommendations()),
        recommender=absent,
        bookmarks=absent,
        endpoints=absent,
        health_reports=absent,
        metrics=metrics,
    )


def main() -> int:
    """Work until a signal."""
    group, effects = sys.argv[1:]

    def connect_to_sinks(of: settings.Settings, metrics: Metrics) -> Ports:
        if effects != "kinesis":
            return marking(_by_name if effects == "names" else _by_number, metrics)
        ports = connect(of, metrics)
        return replace(ports, analytics=_Analytics(_by_number, ports.analytics))

    # The one seam: everything but the ports is real.
    with patch.object(lifecycle, "connect", connect_to_sinks):
        return lifecycle.work(group, declared().groups[group], settings.read(), None)


if __name__ == "__main__":
    sys.exit(main())
