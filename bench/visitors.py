"""Visitors of the request path over WebSockets: they ask, listen to tokens, and take the times."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from bench.custom_questions import Question
from bench.hit import WrongAnswerError
from bench.ours import Identity
from bench.processes import HOST

ANSWER_SECONDS = 30.0
READING_SECONDS = 0.02
"""Between connecting and the first question: the least that a person takes."""
_SEGMENT = re.compile(r"([\w-]+);dur=([\d.]+)")


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer: seconds as the visitor saw them, and by segment as the server says."""

    kind: str
    source: str
    seen_seconds: float
    first_seconds: float
    segments: dict[str, float] = field(default_factory=dict)

    @property
    def other_seconds(self) -> float:
        """Everything that the server did but waiting for search and model."""
        waited = self.segments.get("search", 0.0) + self.segments.get("model", 0.0)
        return self.segments["total"] - waited


@dataclass(frozen=True, slots=True)
class Site:
    """The process that is asked."""

    port: int
    identity: Identity

    async def visit(self, name: str, token: str, questions: Sequence[Question]) -> list[Heard]:
        """One conversation."""
        async with connect(
            f"ws://{HOST}:{self.port}/v1/ws?session_id={name}",
            compression=None, ping_interval=None, proxy=None, open_timeout=ANSWER_SECONDS,
        ) as client:  # fmt: skip
            await client.send(json.dumps({"type": "auth", "token": token}))
            await asyncio.sleep(READING_SECONDS)
            return [await ask(client, question) for question in questions]


async def ask(client: ClientConnection, question: Question) -> Heard:
    """Ask and check the answer."""
    frame = {"type": "message", "message": question.message, "timing": True}
    started = time.perf_counter()
    await client.send(json.dumps(frame, ensure_ascii=False))
    first = 0.0
    while True:
        got = json.loads(await asyncio.wait_for(client.recv(), ANSWER_SECONDS))
        now = time.perf_counter() - started
        first = first or now
        if got["type"] != "token":
            break
    _check(question, got)
    segments = {name: float(ms) / 1000 for name, ms in _SEGMENT.findall(got["server_timing"])}
    return Heard(question.kind, got["source"], now, first, segments)


def _check(question: Question, got: dict[str, object]) -> None:
    if got["type"] != "answer":
        raise WrongAnswerError(f"{question.message!r}: {got}")
    answer = got["answer"]
    assert isinstance(answer, dict)
    wanted = "chat" if question.asked is None else question.asked.key.kind
    if answer["kind"] != wanted:
        raise WrongAnswerError(f"{question.message!r} is answered with {answer['kind']}")
