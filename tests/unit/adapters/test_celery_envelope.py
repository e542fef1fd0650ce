"""An envelope carries a pack to Celery, and nothing malformed gets that far."""

import json
from base64 import b64encode
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.celery_envelope import HIDDEN, Malformed, Reason, build, check
from config.queues import MAX_BODY_BYTES
from domain.jobs import MAX_PACK_BYTES

PACK = bytes(range(256))


def good(**changes: object) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(build("session.update", PACK, message_id="m-1"))
    return {**envelope, **changes}


def with_headers(**changes: object) -> dict[str, Any]:
    return good(headers={"task": "session.update", "id": "m-1", **changes})


def with_arguments(value: object) -> dict[str, Any]:
    return good(body=b64encode(msgspec.msgpack.encode(value)).decode())


def test_what_is_built_passes_the_check() -> None:
    body = build("session.update", PACK, message_id="m-1", headers={"traceparent": "00-a-b-01"})
    envelope = check(body)
    assert (envelope.task, envelope.id) == ("session.update", "m-1")
    assert envelope.args == (PACK,)
    assert envelope.kwargs == {}
    assert envelope.headers["traceparent"] == "00-a-b-01"


def test_the_body_is_less_than_a_third_of_celerys_own() -> None:
    pack = bytes(237)
    body = build("session.update", pack, message_id="0199c4a6-7c1e-7a3e-8f25-5d6a2d1f4b11")
    assert len(body) < 1884 / 3


def test_an_envelope_in_base64_is_read_too() -> None:
    assert check(b64encode(json.dumps(good()).encode()).decode()).args == (PACK,)


def test_arguments_never_appear_in_what_celery_logs() -> None:
    envelope = check(json.dumps(with_headers(argsrepr="('secret',)", shadow="x")))
    assert envelope.headers["argsrepr"] == envelope.headers["kwargsrepr"] == HIDDEN
    assert "shadow" not in envelope.headers


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"a":' * 5000, Reason.JSON),
        ("hello world", Reason.ENCODING),
        ("", Reason.JSON),
        (None, Reason.ENVELOPE),
        ("[1]", Reason.ENCODING),
        (b64encode(b"[1]").decode(), Reason.ENVELOPE),
        ("{" + " " * MAX_BODY_BYTES, Reason.SIZE),
        (good(headers=[]), Reason.HEADERS),
        (good(headers=None), Reason.HEADERS),
        (good(properties=None), Reason.PROPERTIES),
        (good(properties={}), Reason.PROPERTIES),
        (good(body=None), Reason.ENCODING),
        (good(body="!!!"), Reason.ENCODING),
        (good(body=b64encode(b"\xc1").decode()), Reason.ENCODING),
        (good(**{"content-type": "application/x-python-serialize"}), Reason.CONTENT_TYPE),
        (good(**{"content-type": "application/json"}), Reason.CONTENT_TYPE),
        (good(**{"content-type": "application/x-yaml"}), Reason.CONTENT_TYPE),
        (good(**{"content-type": ["application/x-msgpack"]}), Reason.CONTENT_TYPE),
        (good(**{"content-encoding": "utf-8"}), Reason.CONTENT_TYPE),
        (good(headers={"id": "m-1"}), Reason.TASK),
        (good(headers={"task": "session.update"}), Reason.HEADERS),
        (with_headers(task="os.system('x')"), Reason.TASK),
        (with_headers(task=["session.update"]), Reason.TASK),
        (with_headers(timelimit=["soon", None]), Reason.HEADERS),
        (with_headers(timelimit=[True, None]), Reason.HEADERS),
        (with_headers(timelimit=5), Reason.HEADERS),
        (with_headers(timelimit=[-1, None]), Reason.HEADERS),
        (with_headers(retries="1"), Reason.HEADERS),
        (with_headers(expires="tomorrow"), Reason.HEADERS),
        (with_headers(expires=["2026"]), Reason.HEADERS),
        (with_headers(eta="2026-01-01T00:00:00+00:00"), Reason.HEADERS),
        (with_headers(compression="application/x-gzip"), Reason.HEADERS),
        (with_headers(stamps={"a": 1}), Reason.HEADERS),
        (with_headers(nested={"a": {}}), Reason.HEADERS),
        (with_headers(note="line\nfeed"), Reason.HEADERS),
        (with_headers(id="m\x00"), Reason.HEADERS),
        (with_headers(traceparent="x" * 5000), Reason.HEADERS),
        (with_arguments({"args": []}), Reason.ARGUMENTS),
        (with_arguments([[], {}]), Reason.ARGUMENTS),
        (with_arguments(["args", {}, None]), Reason.ARGUMENTS),
        (with_arguments([[], [], None]), Reason.ARGUMENTS),
        (with_arguments([[], {}, {"chain": [{"task": "os.system"}]}]), Reason.ARGUMENTS),
        (with_arguments([[], {}, {"other": None}]), Reason.ARGUMENTS),
        (with_arguments([[], {}, 3]), Reason.ARGUMENTS),
    ],
)
def test_a_malformed_body_is_refused_with_its_reason(body: object, reason: Reason) -> None:
    with pytest.raises(Malformed) as caught:
        check(json.dumps(body) if isinstance(body, dict) else body)
    assert caught.value.reason is reason


def test_deep_arguments_are_refused() -> None:
    value: list[object] = []
    for _ in range(100):
        value = [value]
    with pytest.raises(Malformed, match="nested"):
        check(json.dumps(with_arguments([value, {}, None])))


def test_a_task_that_nobody_registered_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        check(json.dumps(good()), known_tasks={"other"})
    assert caught.value.reason is Reason.UNKNOWN_TASK


def test_the_reason_holds_nothing_of_the_content() -> None:
    with pytest.raises(Malformed) as caught:
        check(json.dumps(with_headers(timelimit="a secret")))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("task", "message_id", "headers"),
    [
        ("os.system('x')", "m", {}),
        ("", "m", {}),
        ("session.update", "", {}),
        ("session.update", "m\n", {}),
        ("session.update", "m", {"traceparent": "a\nb"}),
        ("session.update", "m", {"eta": "2026-01-01T00:00:00+00:00"}),
    ],
)
def test_nothing_is_built_that_would_be_refused(
    task: str, message_id: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"headers|task"):
        build(task, PACK, message_id=message_id, headers=headers)


def test_a_full_pack_fits_and_a_larger_one_does_not() -> None:
    check(build("session.update", bytes(MAX_PACK_BYTES), message_id="m-1"))
    with pytest.raises(ValueError, match="size"):
        build("session.update", bytes(256 * 1024), message_id="m-1")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def paths(value: object, at: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [at] if at else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*at, key))
    return found


CELERYS_HEADERS: dict[str, object] = {
    "lang": "py",
    "task": "session.update",
    "id": "m-1",
    "shadow": None,
    "eta": None,
    "expires": None,
    "group": None,
    "group_index": None,
    "retries": 0,
    "timelimit": [None, None],
    "root_id": "m-1",
    "parent_id": None,
    "argsrepr": "()",
    "kwargsrepr": "{}",
    "origin": "gen1@host",
    "ignore_result": True,
    "replaced_task_nesting": 0,
    "stamped_headers": None,
    "stamps": {},
}


@settings(max_examples=300)
@given(data=st.data())
def test_a_mutated_envelope_raises_nothing_but_malformed(data: st.DataObject) -> None:
    envelope = good(headers=dict(CELERYS_HEADERS))
    for path in data.draw(st.lists(st.sampled_from(paths(envelope)), max_size=3)):
        target: Any = envelope
        for key in path[:-1]:
            target = target.get(key) if isinstance(target, dict) else None
        if isinstance(target, dict):
            if data.draw(st.booleans()):
                target[path[-1]] = data.draw(json_values)
            else:
                target.pop(path[-1], None)
    with suppress(Malformed):
        check(json.dumps(envelope))


@settings(max_examples=300)
@given(st.text() | st.binary().map(lambda raw: b64encode(raw).decode()) | json_values)
def test_any_body_raises_nothing_but_malformed(body: object) -> None:
    with suppress(Malformed):
        check(body)


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_content_raises_nothing_but_malformed(content: bytes) -> None:
    with suppress(Malformed):
        check(json.dumps(good(body=b64encode(content).decode())))
