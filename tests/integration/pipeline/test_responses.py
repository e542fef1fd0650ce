"""An answer of the model travels outbox, relay, SQS and workers: it lasts, or is taken back."""

import json
import time
from typing import TYPE_CHECKING

import pytest

from adapters.aws_clients import AwsClients
from adapters.connection import connect, response_wire
from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.events import AnswerGenerated
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


def audited() -> list[tuple[str, str, str]]:
    logs = AwsClients().logs
    events = logs.filter_log_events(logGroupName="/mangaassist/audit")["events"]
    lines = [json.loads(event["message"]) for event in events]
    return [(line["action"], line["subject"], line["outcome"]) for line in lines]
