"""An answer of the model travels outbox, relay, SQS and workers: it lasts, or is taken back."""

import json
import time
from typing import TYPE_CHECKING

import pytest

from adapters.aws_clients import AwsClients
from adapters.connection import connect, response_wire
from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from adapters.redis_sessions import decode_copy
from config import guardrails
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.events import AnswerCompleted, AnswerGenerated
from domain.ports import Ports
from domain.response_cache import StoredResponse
from tests.samples import asked, response, title

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from tests.integration.pipeline.conftest import Pipeline

    Eventually = Callable[[Callable[[], object], float, str], None]

PATIENCE = 90.0
SHORT_SECONDS = 120


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """What seals responses, here and in the processes that are started."""
    monkeypatch.setenv("MANGAASSIST_PSEUDONYM_KEY", "a key of tests")
    return "a key of tests"


def shared(valkey: "redis.Redis", made: StoredResponse, key: str) -> str:
    """Put a response where the request path puts it, with its event; its key."""
    stored = response_wire(Settings(pseudonym_key=key)).pack(made)
    assert stored is not None
    valkey.set(made.key, stored, ex=SHORT_SECONDS)
    event = AnswerGenerated(
        event_id=f"00000000-0000-4000-8000-{made.version % 10**12:012}", occurred_at=time.time(),
        producer="test", seq=1, response_key=made.key, stored=stored,
    )  # fmt: skip
    valkey.xadd("outbox:0", {"e": encode_event(event)})
    return made.key


def test_a_good_answer_lasts_and_a_bad_one_is_taken_back(
    key: str,
    pipeline: "Pipeline",
    valkey: "redis.Redis",
    valkey_url: str,
    eventually: "Eventually",
) -> None:
    ports = connect(Settings(redis_url=valkey_url), Metrics())
    ports.catalogue.publish(Catalogue([title("1")]))
    now = time.time()
    good = response("『題1』はいかがですか。", items=[{"id": "1"}], now=now)
    bad = response("See evil.com", of=asked("Where is it cheap?"), now=now + 1)
    good_key, bad_key = shared(valkey, good, key), shared(valkey, bad, key)
    given(valkey, bad, "s-1")
    for module, *arguments in (
        ("workers.relay",),
        ("workers.worker", "interactive"),
        ("workers.worker", "precompute"),
    ):
        pipeline.start(module, *arguments)

    eventually(
        lambda: valkey.ttl(good_key) > SHORT_SECONDS and not valkey.exists(bad_key),
        PATIENCE,
        "the good answer does not last, or the bad one stays",
    )
    eventually(lambda: valkey.xlen("outbox:0") == 0, PATIENCE, "the outbox is not emptied")
    eventually(audited, PATIENCE, "no line says that it was taken back")
    assert audited() == [("answer.retracted", bad_key, "foreign_url")]
    assert not valkey.exists(bad_key), "the write that came after the check does not bring it back"
    note = guardrails.declared().notes.en

    def previews() -> list[tuple[str, bool]]:
        stored, copy = ports.sessions.get("s-1", "ann"), valkey.get("session:s-1")
        if stored is None or not isinstance(copy, bytes):
            return []
        turns = [*stored.in_order(), *decode_copy(copy).in_order()]
        return [(turn.answer_preview, turn.is_retracted) for turn in turns]

    eventually(lambda: previews() == [(note, True)] * 2, PATIENCE, "the session still has it")
    given(valkey, bad, "s-2")
    eventually(
        lambda: "s-2" in noted(ports, note), PATIENCE, "a turn that comes later gets it after all"
    )


def noted(ports: Ports, note: str) -> list[str]:
    """The sessions that have the note."""
    found = [ports.sessions.get(session_id, "ann") for session_id in ("s-1", "s-2")]
    return [
        session.session_id
        for session in found
        if session is not None and [turn.answer_preview for turn in session.in_order()] == [note]
    ]


def given(valkey: "redis.Redis", made: StoredResponse, session_id: str) -> None:
    """Tell a session, as the request path does, that this was answered."""
    event = AnswerCompleted(
        event_id=f"completed-{session_id}", occurred_at=made.generated_at, producer="test", seq=2,
        asked_event_id=f"asked-{session_id}", asked_at=made.generated_at - 1,
        session_id=session_id, owner="ann", message_id="m", question="Where is it cheap?",
        locale="en", answer_preview=made.preview, source="model", rung="fresh",
        answer_id=made.answer_id,
    )  # fmt: skip
    valkey.xadd("outbox:0", {"e": encode_event(event)})


def audited() -> list[tuple[str, str, str]]:
    logs = AwsClients().logs
    events = logs.filter_log_events(logGroupName="/mangaassist/audit")["events"]
    lines = [json.loads(event["message"]) for event in events]
    return [(line["action"], line["subject"], line["outcome"]) for line in lines]
