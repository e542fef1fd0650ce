"""Workers and relay are killed at random while customers chat: what was answered is kept.

Black box: HTTP in, DynamoDB and Kinesis at the end.
"""

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from operator import eq
from typing import Any, cast

import boto3
import httpx
import pytest

from tests.system.running import Stack, eventually
from tests.system.running import run as run_command

SESSIONS = 60
CLIENTS = 8
PAUSE_SECONDS = 0.04
"""Spreads the questions over some seconds, in which processes die and come back."""
KILL_EVERY_SECONDS = 0.7
PATIENCE_SECONDS = 180.0
"""A fifth of the turns are completed by the model's answers: on a busy machine that takes long."""
VICTIMS = ("relay", "worker-interactive", "worker-streams", "worker-precompute")
QUESTIONS = ("trending manga", "新刊", "show me shonen", "One Piece latest", "what should I do")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("requests", [500, pytest.param(2000, marks=pytest.mark.soak)])
def test_every_answered_turn_is_stored_once_although_workers_and_relay_are_killed(
    stack: Stack, requests: int
) -> None:
    run = f"storm-{random.getrandbits(32):08x}"
    token = stack.token(run)
    answered: list[tuple[str, str]] = []
    with killing(stack, answered) as (killed, each_died):
        chat(stack, token, run, answered, requests, each_died=each_died)
    assert len(answered) == requests
    assert sum(0 < count < requests for count in killed) >= len(VICTIMS)

    wanted = Counter(session for session, _ in answered)
    turns = eventually(
        lambda: stored_turns(stack, run), lambda found: counts(found) == wanted, PATIENCE_SECONDS
    )
    assert sorted(turns) == sorted(answered)

    events = {event_id for _, event_id in answered}
    eventually(lambda: len(events - analysed_events(stack)), lambda missing: missing == 0)
    # Others look at the same stack: whoever died last may not be back yet.
    eventually(
        lambda: run_command("doctor", "--data-dir", stack.data_dir).returncode, partial(eq, 0)
    )


def chat(
    stack: Stack,
    token: str,
    run: str,
    answered: list[tuple[str, str]],
    requests: int,
    *,
    each_died: threading.Event,
) -> None:
    """Ask so many questions, the last one when everybody has died among the others; adds the
    (session id, event id) of each answer."""
    numbers = iter(range(requests))
    lock = threading.Lock()
    failures: list[str] = []
    pause = threading.Event()

    def client() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=stack.http, headers=headers, timeout=60) as http:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                if number == requests - 1:
                    each_died.wait(PATIENCE_SECONDS)
                session = f"{run}-{number % SESSIONS}"
                body = {
                    "session_id": session,
                    "message": QUESTIONS[number % len(QUESTIONS)],
                    "message_id": f"m-{number}",
                }
                response = http.post("/v1/chat", json=body)
                pause.wait(PAUSE_SECONDS)
                if response.status_code == httpx.codes.OK:
                    answered.append((session, response.json()["event_id"]))
                else:
                    failures.append(response.text)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@contextmanager
def killing(
    stack: Stack, answered: Sequence[object]
) -> Iterator[tuple[list[int], threading.Event]]:
    """Kill one process after the other until the end; how much was answered at each kill, and
    whether everybody was killed after the first answer."""
    killed: list[int] = []
    over, each_died = threading.Event(), threading.Event()

    def kill() -> None:
        while not over.wait(random.uniform(0.1, KILL_EVERY_SECONDS)):
            name = VICTIMS[len(killed) % len(VICTIMS)]
            # Somebody killed a moment ago may not be back yet.
            with suppress(ProcessLookupError):
                os.kill(stack.pid(name), signal.SIGKILL)
            killed.append(len(answered))
            if sum(count > 0 for count in killed) >= len(VICTIMS):
                each_died.set()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed, each_died
    finally:
        over.set()
        killer.join()


def counts(turns: list[tuple[str, str]]) -> Counter[str]:
    return Counter(session for session, _ in turns)


def stored_turns(stack: Stack, run: str) -> list[tuple[str, str]]:
    """The (session id, event id) of every turn that DynamoDB has of this run."""
    table = boto3.resource("dynamodb", **stack.aws("dynamodb")).Table("mangaassist-sessions")
    found: list[tuple[str, str]] = []
    page: dict[str, Any] = {}
    while True:
        answer = table.scan(ConsistentRead=True, **page)
        for item in answer["Items"]:
            session = str(item["session_id"])
            if session.startswith(run):
                turns = cast("dict[str, Any]", item["turns"])
                found.extend((session, event_id) for event_id in turns)
        if "LastEvaluatedKey" not in answer:
            return found
        page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def analysed_events(stack: Stack) -> set[str]:
    """The event ids of every record in the analytics stream."""
    kinesis = boto3.client("kinesis", **stack.aws("kinesis"))
    name = "mangaassist-analytics"
    found: set[str] = set()
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=5000)
            found.update(json.loads(record["Data"])["event_id"] for record in answer["Records"])
            if not answer["Records"]:
                break
            iterator = answer["NextShardIterator"]
    return found
