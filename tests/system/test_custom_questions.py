"""Questions that nobody foresaw, through the whole embedded run: true answers, remembered."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest

from tests.system.running import Reply, Stack, eventually
from tests.system.talking import SECONDS, opened

QUESTIONS = [
    ("Who drew Akira?", "Akira is by Katsuhiro Otomo.", "akira"),
    ("ワンピースの作者は誰ですか", "『ONE PIECE』の作者は尾田栄一郎です。", "one-piece"),
]


@pytest.mark.parametrize(("question", "told", "title"), QUESTIONS)
def test_a_custom_question_gets_a_true_answer_and_then_the_kept_one(
    stack: Stack, question: str, told: str, title: str
) -> None:
    first = until_told(stack, question, told, session=f"custom-{title}-1").body
    assert [item["id"] for item in first["answer"]["items"]] == [title]
    assert first["answer"]["kind"] == "chat"
    session, token = f"custom-{title}-2", stack.token("mia")
    second = stack.asked_until("cache", question, session=session, token=token).body
    assert second["answer"] == first["answer"]


def until_told(stack: Stack, question: str, told: str, **more: str) -> Reply:
    """On a busy machine the model may be late: it answers whoever asks next, from the cache."""
    late = 0

    def ask() -> Reply:
        nonlocal late
        reply = stack.ask(question, **more)
        late += reply.body["source"] == "fallback"
        return reply

    reply = eventually(ask, lambda found: found.body["source"] != "fallback")
    assert reply.body["answer"]["text"] == told
    assert reply.body["source"] == "model" or late
    return reply


def test_the_session_remembers_what_the_model_answered(stack: Stack) -> None:
    token = stack.token("noa")
    reply = stack.ask("how many volumes has Slam Dunk?", session="custom-noa", token=token).body
    turns = eventually(lambda: _turns(stack, "custom-noa", token), all)
    assert turns == [reply["answer"]["text"][:200]]


def test_tokens_come_over_a_websocket_and_a_second_question_knows_the_first(stack: Stack) -> None:
    frames = eventually(
        lambda: _told(stack, "Who drew Monster?", "which genres?"),
        lambda found: all(frame["source"] != "fallback" for frame, _ in found),
    )
    for frame, tokens in frames:
        assert frame["source"] in {"model", "cache"}
        assert "".join(tokens) == frame["answer"]["text"]
    assert "Monster" in frames[1][0]["answer"]["text"]


def test_the_command_line_asks_too(stack: Stack) -> None:
    said = eventually(
        lambda: stack.cli("ask", "something with samurai and swords, but sad"),
        lambda found: bool(re.search(r"\[chat, (model, 0\.0|cache, [0-9.]+) s old", found)),
    )
    assert "Samurai" in said


def _told(stack: Stack, *messages: str) -> list[tuple[dict[str, Any], list[str]]]:
    """The answer to each of the messages of a conversation, and the tokens that came before it."""
    told = []
    with opened(stack, f"custom-ws-{uuid4()}") as client:
        for message in messages:
            client.send(json.dumps({"type": "message", "message": message}))
            tokens = []
            while (frame := json.loads(client.recv(SECONDS)))["type"] == "token":
                tokens.append(frame["text"])
            told.append((frame, tokens))
    return told


def _turns(stack: Stack, session: str, token: str) -> list[str]:
    reply = stack.request("GET", f"/v1/sessions/{session}", token=token)
    found: list[dict[str, Any]] = reply.body["turns"] if reply.status == 200 else []
    return [turn["answer_preview"] for turn in found] or [""]
