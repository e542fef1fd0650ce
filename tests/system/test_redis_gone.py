"""Redis is gone while customers chat: answers go on, and what they cause is done once it is back.

Black box: HTTP in, DynamoDB at the end.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.system.running import Stack, eventually
from tests.system.test_nothing_is_lost import stored_turns

QUESTIONS = 60


@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
def test_answers_go_on_without_redis_and_every_turn_is_stored_once(
    stack: Stack, how: signal.Signals
) -> None:
    run = f"redis-gone-{how.name.lower()}"
    token = stack.token(run)
    stack.asked_until("precomputed", "trending manga", session=f"{run}-before", token=token)
    answered, sources = [], []
    redis = stack.pid("redis")
    try:
        with stopped(stack.process.pid):  # else a Redis that is killed may be back at once
            os.kill(redis, how)
            first = ask(stack, run, token, 0)
        others = (ask(stack, run, token, number) for number in range(1, QUESTIONS))
        for session, body in (first, *others):
            sources.append(body["source"])
            answered.append((session, body["event_id"]))
    finally:
        if how is signal.SIGSTOP:
            os.kill(redis, signal.SIGCONT)
    # A Redis that was killed may be back before the last question.
    back = {"precomputed"} if how is signal.SIGKILL else set()
    assert sources[0] == "stale"
    assert set(sources) <= {"stale"} | back
    stack.asked_until("precomputed", "trending manga", session=f"{run}-after", token=token)
    wanted = Counter(session for session, _ in answered)
    turns = eventually(
        lambda: [turn for turn in stored_turns(stack, run) if turn[0] in wanted],
        lambda found: Counter(session for session, _ in found) == wanted,
    )
    assert sorted(turns) == sorted(answered)


def ask(stack: Stack, run: str, token: str, number: int) -> tuple[str, dict[str, Any]]:
    """Ask a question; its session, and what was answered."""
    session = f"{run}-{number % 5}"
    reply = stack.ask("trending manga", session, token, message_id=f"m-{number}")
    assert reply.status == 200
    return session, reply.body


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
