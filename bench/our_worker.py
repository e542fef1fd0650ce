"""Runs one group of our workers as `workers.worker` does, with effects that the bench can see.

`python -m bench.our_worker GROUP memory|kinesis`: `memory` applies every job to the shared sink;
`kinesis` really sends analytics to the stream and then notes it in the sink.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
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
from domain.jobs import AppendAudit, CountInteraction, EmitAnalytics
from domain.ports import AnalyticsStream, CountOutcome, Ports, TaskMetrics
from domain.sessions import Session, Turn
from domain.summaries import extract
from workers import lifecycle


@cache
def _sink(what: str) -> Sink:
    """The sink of one kind of effect, opened when the first comes."""
    return Sink(Path(f"{os.environ[ENVIRONMENT]}-{what}"))


class _Analytics:
    """Analytics that go into the sink alone, or to a real stream first."""

    def __init__(self, stream: AnalyticsStream | None = None) -> None:
        self._stream = stream

    def put(self, records: Sequence[EmitAnalytics]) -> Mapping[str, str]:
        failed = self._stream.put(records) if self._stream else {}
        sink = _sink("analytics")
        for record in records:
            if record.event_id not in failed:
                sink.apply(number_of(record.event_id))
        return failed


class _Audit:
    def append(self, lines: Sequence[AppendAudit]) -> Mapping[str, str]:
        for line in lines:
            _sink("audit").apply(number_of(line.event_id))
        return {}


class _Sessions:
    def add_turns(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        for turn in turns:
            _sink("sessions").apply(number_of(turn.event_id))
        return Session(session_id, owner).with_turns(turns)

    def get(self, session_id: str, owner: str) -> Session | None:
        return Session(session_id, owner)

    def summarise(self, session: Session) -> bool:
        """No session here is long enough."""
        return False


class _SessionCopies:
    def put(self, sessions: Sequence[Session]) -> None:
        """A copy is no effect of its own."""

    def restore_owner(self, session_id: str, owner: str) -> None:
        """Nobody else claims a session here."""


class _Counts:
    def count(self, interactions: Sequence[CountInteraction]) -> CountOutcome:
        for interaction in interactions:
            _sink("counts").apply(number_of(interaction.event_id))
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


def in_memory(metrics: TaskMetrics) -> Ports:
    """Ports whose every effect is a mark in the sink."""
    absent = cast("Any", None)  # not reached for by the jobs of a benchmark
    return Ports(
        clock=time.time,
        today=absent,
        answers=absent,
        responses=absent,
        counts=_Counts(),
        sessions=_Sessions(),
        summarise=extract,
        session_copies=_SessionCopies(),
        preferences=absent,
        analytics=_Analytics(),
        audit=_Audit(),
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
        if effects == "memory":
            return in_memory(metrics)
        ports = connect(of, metrics)
        return replace(ports, analytics=_Analytics(ports.analytics))

    # The one seam: everything but the ports is real.
    with patch.object(lifecycle, "connect", connect_to_sinks):
        return lifecycle.work(group, declared().groups[group], settings.read(), None)


if __name__ == "__main__":
    sys.exit(main())
