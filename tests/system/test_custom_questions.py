"""Questions that nobody foresaw, through the whole embedded run: true answers, remembered."""

import json
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.system.running import Stack, eventually

SECONDS = 30.0
QUESTIONS = [
    ("Who drew Akira?", "Akira is by Katsuhiro Otomo.", "akira"),
    ("ワンピースの作者は誰ですか", "『ONE PIECE』の作者は尾田栄一郎です。", "one-piece"),
]


@pytest.mark.parametrize(("question", "told", "title"), QUESTIONS)
def test_a_custom_question_gets_a_true_answer_and_then_the_kept_one(
    stack: Stack, question: str, told: str, title: str
) -> None:
    first = stack.ask(question, session=f"custom-{title}-1").body
    assert first["answer"]["text"] == told
    assert [item["id"] for item in first["answer"]["items"]] == [title]
    assert (first["answer"]["kind"], first["source"]) == ("chat", "model")
    second = stack.ask(question, session=f"custom-{title}-2", token=stack.token("mia")).body
    assert (second["answer"], second["source"]) == (first["answer"], "cache")


def test_the_session_remembers_what_the_model_answered(stack: Stack) -> None:
    token = stack.token("noa")
    reply = stack.ask("how many volumes has Slam Dunk?", session="custom-noa", token=token).body
    turns = eventually(lambda: _turns(stack, "custom-noa", token), all)
    assert turns == [reply["answer"]["text"][:200]]


def test_tokens_come_over_a_websocket_and_a_second_question_knows_the_first(stack: Stack) -> None:
    address = stack.http.replace("http://", "ws://")
    with connect(
        f"{address}/v1/ws?session_id=custom-ws-that-nobody-guesses",
        proxy=None,
        origin=Origin(stack.http),
    ) as client:
        tokens = []
        for message in ("Who drew Monster?", "which genres?"):
            client.send(json.dumps({"type": "message", "message": message}))
            while (frame := json.loads(client.recv(SECONDS)))["type"] == "token":
                tokens.append(frame["text"])
            assert frame["source"] == "model"
            assert "".join(tokens) == frame["answer"]["text"]
            tokens.clear()
    assert "Monster" in frame["answer"]["text"]


def test_the_command_line_asks_too(stack: Stack) -> None:
    said = stack.cli("ask", "something with samurai and swords, but sad")
    assert "Samurai" in said
    assert "[chat, model, 0.0 s old" in said


def _turns(stack: Stack, session: str, token: str) -> list[str]:
    reply = stack.request("GET", f"/v1/sessions/{session}", token=token)
    found: list[dict[str, Any]] = reply.body["turns"] if reply.status == 200 else []
    return [turn["answer_preview"] for turn in found] or [""]
