"""Events and jobs as bytes: what goes in comes out, anything else is Malformed."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.msgpack_wire import (
    MAX_EVENT_BYTES,
    decode_event,
    decode_pack,
    encode_event,
    encode_job,
    encode_pack,
    join_pack,
    split_pack,
)
from domain.errors import Malformed
from domain.events import (
    EVENT_TYPES,
    AnswerCompleted,
    AnswerServed,
    Event,
    InteractionRecorded,
    InteractionType,
    RecommendationComputed,
    RecommendationServed,
    Served,
    ServedFrom,
)
from domain.jobs import JOB_TYPES, MAX_PACK_BYTES, Job, PrecomputeAnswers, UpdateSession
from domain.reactions import react

texts = st.text(st.characters(codec="utf-8"), max_size=128)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=128)
header = {
    "event_id": ids,
    "occurred_at": st.floats(0, 4e9),
    "producer": texts,
    "seq": st.integers(0, 2**40),
    "traceparent": st.none() | texts,
}
answers_served = st.builds(
    AnswerServed,
    **header,
    session_id=ids,
    owner=texts,
    message_id=texts,
    question=st.text(st.characters(codec="utf-8"), max_size=4000),
    kind=st.sampled_from(["trending", "new_releases", "genre", "title", "recommendation", "chat"]),
    slug=texts,
    locale=st.sampled_from(["ja", "en"]),
)
interactions = st.builds(
    InteractionRecorded,
    **header,
    interaction=st.sampled_from(list(InteractionType)),
    item_id=ids,
    user_id=texts,
    value=st.none() | st.floats(0, 10),
)
computed = st.builds(
    RecommendationComputed,
    **header,
    user_id=texts,
    items=st.lists(st.tuples(ids, st.floats(-1e9, 1e9)), max_size=100).map(tuple),
)
served = st.builds(
    RecommendationServed, **header, owner=texts, locale=st.sampled_from(["ja", "en"])
)
completed = st.builds(
    AnswerCompleted,
    **header,
    asked_event_id=ids,
    asked_at=st.floats(0, 4e9),
    session_id=ids,
    owner=texts,
    message_id=texts,
    question=texts,
    locale=st.sampled_from(["ja", "en"]),
    answer_preview=texts,
    source=texts,
    rung=texts,
)
events = answers_served | interactions | computed | served | completed
found = st.builds(
    Served,
    source=st.sampled_from(list(ServedFrom)),
    version=st.integers(0, 2**45),
    generated_at=st.floats(0, 4e9),
    soft_expires_at=st.floats(0, 4e9),
    preview=st.text(st.characters(codec="utf-8"), max_size=200),
)

UPDATE = UpdateSession(
    event_id="e", producer="p", seq=1, occurred_at=1.5, session_id="s", owner="o",
    message_id="m", question="q", answer_preview="a",
)  # fmt: skip


@given(events)
def test_an_event_comes_back_as_it_went(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


@given(events, found)
def test_every_job_that_follows_from_an_event_comes_back(event: Event, served: Served) -> None:
    for job in react(event, served):
        assert decode_pack(encode_pack([job, job])) == [job, job]


@pytest.mark.parametrize(
    "job",
    [
        PrecomputeAnswers(
            event_id="e", producer="p", seq=1, occurred_at=1.0, answer_kind="genre",
            tick=tick, stale_version=stale,
        )
        for tick, stale in [(None, None), (5, None), (None, 7)]
    ],
)  # fmt: skip
def test_a_precompute_job_comes_back(job: Job) -> None:
    assert decode_pack(encode_pack([job])) == [job]


def test_joined_jobs_are_a_pack() -> None:
    jobs = [encode_job(UPDATE)] * 300
    pack = join_pack(UPDATE.kind, UPDATE.version, jobs)
    assert pack == encode_pack([UPDATE] * 300)
    assert split_pack(pack) == (UPDATE.kind, UPDATE.version, jobs)


def test_joining_adds_few_bytes() -> None:
    jobs = [encode_job(UPDATE)] * 300
    pack = join_pack(UPDATE.kind, UPDATE.version, jobs)
    assert len(pack) - sum(map(len, jobs)) <= 32


def test_an_empty_pack_is_no_pack_to_encode() -> None:
    with pytest.raises(ValueError, match="exactly one kind"):
        encode_pack([])


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_malformed(data: bytes) -> None:
    for decode in (decode_event, decode_pack, split_pack):
        with suppress(Malformed):
            decode(data)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | texts
    | st.binary(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
names = st.sampled_from([*(e.type for e in EVENT_TYPES), *(j.kind for j in JOB_TYPES)]) | texts


@given(st.tuples(names, st.just(1) | st.integers(0, 9), anything) | anything)
def test_any_well_formed_frame_decodes_or_is_malformed(frame: object) -> None:
    data = msgspec.msgpack.encode(frame)
    for decode in (decode_event, decode_pack, split_pack):
        with suppress(Malformed):
            decode(data)


@given(events, st.data())
def test_a_damaged_event_decodes_or_is_malformed(event: Event, data: st.DataObject) -> None:
    encoded = bytearray(encode_event(event))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Malformed):
        decode_event(bytes(encoded))


def frame(**changed: object) -> bytes:
    fields: dict[str, object] = {
        "event_id": "e", "occurred_at": 1.0, "producer": "p", "seq": 1, "traceparent": None,
        "session_id": "s", "owner": "o", "message_id": "m", "question": "q", "kind": "chat",
        "slug": "", "locale": "ja",
    }  # fmt: skip
    return msgspec.msgpack.encode(("answer.served", 1, [*{**fields, **changed}.values()]))


def test_the_frame_of_these_tests_is_good() -> None:
    assert decode_event(frame()).event_id == "e"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", ""),
        ("event_id", "x" * 257),
        ("occurred_at", float("nan")),
        ("occurred_at", float("inf")),
        ("occurred_at", -1.0),
        ("occurred_at", "now"),
        ("seq", -1),
        ("seq", True),
        ("question", "x" * 4001),
        ("question", b"x"),
        ("locale", "fr"),
        ("traceparent", 5),
    ],
)
def test_a_wrong_value_is_named_and_not_quoted(field: str, value: object) -> None:
    with pytest.raises(Malformed) as caught:
        decode_event(frame(**{field: value}))
    assert str(caught.value) == f"AnswerServed: {field} has the wrong type or size"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x91" * 100_000,
        b"\x93\xadanswer.served\x01" + b"\x91" * 50_000,
        frame() + b"\x00",
        frame()[:-3],
        frame(extra=1),
        msgspec.msgpack.encode(("answer.served", 2, [])),
        msgspec.msgpack.encode(("secret.user@example.com", 1, ["secret"])),
        b"\x93\xadanswer.served\x01" + b"\x9c" + b"\xa2\xff\xfe" * 12,
        b"x" * (MAX_EVENT_BYTES + 1),
    ],
)
def test_a_hostile_frame_is_malformed_and_not_quoted(data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        decode_event(data)
    assert "secret" not in str(caught.value)


def test_a_pack_beyond_its_limit_is_malformed() -> None:
    pack = encode_pack([UPDATE] * (MAX_PACK_BYTES // len(encode_job(UPDATE)) + 1))
    with pytest.raises(Malformed, match="more than"):
        decode_pack(pack)


def test_one_wrong_job_spoils_its_pack_but_can_be_cut_out() -> None:
    good = encode_job(UPDATE)
    pack = join_pack(UPDATE.kind, 1, [good, b"\x90", good])
    with pytest.raises(Malformed):
        decode_pack(pack)
    kind, version, jobs = split_pack(pack)
    assert decode_pack(join_pack(kind, version, [jobs[0], jobs[2]])) == [UPDATE, UPDATE]
