"""Dead letters as the scheduled retry sees them, on the SQS emulator."""

from uuid import uuid4

import pytest

from adapters.aws_clients import AwsClients
from adapters.celery_envelope import build, check
from adapters.msgpack_wire import encode_job, encode_pack, join_pack, split_pack
from adapters.sqs_dead_letters import SqsDeadLetters
from adapters.sqs_opened_letters import SqsOpenedLetters
from adapters.sqs_queues import SqsQueues
from config.queues import dead_letter_name, sqs_name
from domain.dead_letters import Letter, SendAgain
from domain.jobs import AppendAudit
from domain.parking import UNREADABLE, Reason, id_of_job, id_of_message
from domain.ports import Failure
from tests.fakes import NOW, FakeLastFailures
from tests.samples import audit

QUEUE = "audit"
KIND = AppendAudit.kind


@pytest.fixture
def queues(aws: AwsClients) -> SqsQueues:
    found = SqsQueues(aws)
    for name in (sqs_name(QUEUE), dead_letter_name(QUEUE)):
        aws.sqs.purge_queue(QueueUrl=found.url(name))
    return found


@pytest.fixture
def failures() -> FakeLastFailures:
    return FakeLastFailures()


@pytest.fixture
def letters(aws: AwsClients, queues: SqsQueues, failures: FakeLastFailures) -> SqsOpenedLetters:
    return SqsOpenedLetters(SqsDeadLetters(aws, queues), queues, failures)


def body(*event_ids: str, **headers: str) -> str:
    pack = encode_pack([audit(event_id) for event_id in event_ids])
    return build(KIND, pack, message_id=str(uuid4()), headers=headers)


def one_letter(letters: SqsOpenedLetters, queues: SqsQueues, text: str) -> Letter:
    queues.send_batch(dead_letter_name(QUEUE), [text])
    (found,) = letters.receive(QUEUE, 30)
    return found


def bodies(aws: AwsClients, queues: SqsQueues) -> list[str]:
    url = queues.url(sqs_name(QUEUE))
    answer = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


def test_a_queue_without_dead_letters_answers_at_once(letters: SqsOpenedLetters) -> None:
    assert letters.receive(QUEUE, 30) == []


def test_a_job_is_opened_with_what_is_known_of_it(
    letters: SqsOpenedLetters, queues: SqsQueues, failures: FakeLastFailures
) -> None:
    text = body("e1", replays="2", replayed_at="1800000000.5")
    first = one_letter(letters, queues, text)
    failures.note(first.id, Failure(NOW, "logs: no"))
    letters.release([first])
    (found,) = letters.receive(QUEUE, 30)
    assert (found.queue, found.kind, found.fault) == (QUEUE, KIND, None)
    assert found.jobs == (encode_job(audit("e1")),)
    assert (found.event_id, found.parked_id) == ("e1", id_of_job(audit("e1")))
    assert (found.replays, found.replayed_at) == (2, 1_800_000_000.5)
    assert (found.failed_at, found.last_failure) == (NOW, "logs: no")
    assert found.sent_at > 0


@pytest.mark.parametrize("stamp", ["", "many", "-1", "nan", "1e999", "٣٣٣٣"])
def test_a_stamp_that_is_none_of_ours_does_no_harm(
    letters: SqsOpenedLetters, queues: SqsQueues, stamp: str
) -> None:
    found = one_letter(letters, queues, body("e1", replays=stamp, replayed_at=stamp))
    assert 0 <= found.replays <= 1000
    assert 0 <= found.replayed_at <= 1e12


@pytest.mark.parametrize(
    "text",
    [
        "this was never a message",
        '{"body": 1}',
        build("no.such.task", encode_pack([audit("e1")]), message_id="m"),
    ],
)
def test_what_is_no_message_of_ours_is_unreadable(
    letters: SqsOpenedLetters, queues: SqsQueues, text: str
) -> None:
    found = one_letter(letters, queues, text)
    assert found.kind == UNREADABLE
    assert found.fault is not None
    assert found.fault.reason is Reason.UNREADABLE
    assert found.payload == text.encode()
    assert found.parked_id == id_of_message(found.id)


@pytest.mark.parametrize(
    "pack",
    [b"\xc1", join_pack(KIND, 1, []), encode_pack([audit("e1")])[:-1], join_pack("x", 1, [])],
)
def test_a_pack_that_can_not_be_split_is_malformed(
    letters: SqsOpenedLetters, queues: SqsQueues, pack: bytes
) -> None:
    found = one_letter(letters, queues, build(KIND, pack, message_id="m"))
    assert found.fault is not None
    assert found.fault.reason is Reason.MALFORMED
    assert found.payload == pack


def test_parts_are_sent_stamped_and_the_letter_is_deleted(
    letters: SqsOpenedLetters, queues: SqsQueues, aws: AwsClients
) -> None:
    found = one_letter(letters, queues, body("a", "b", "c"))
    again = SendAgain((found.jobs[:1], found.jobs[1:]), replays=1)
    assert letters.send([(found, again)], NOW) == {}
    assert letters.delete([found]) == {}
    assert queues.depth(dead_letter_name(QUEUE)).in_flight == 0
    opened = [check(text) for text in bodies(aws, queues)]
    packs = [one.args[0] for one in opened]
    assert sorted(tuple(split_pack(pack)[2]) for pack in packs if isinstance(pack, bytes)) == [
        found.jobs[:1],
        found.jobs[1:],
    ]
    assert {one.task for one in opened} == {KIND}
    assert len({one.id for one in opened}) == 2
    assert all(one.headers["replays"] == "1" for one in opened)
    assert all(one.headers["replayed_at"] == repr(NOW) for one in opened)


def test_a_malformed_job_among_others_is_sent_on_as_it_came(
    letters: SqsOpenedLetters, queues: SqsQueues, aws: AwsClients
) -> None:
    pack = join_pack(KIND, 1, [encode_job(audit("a")), b"\x90"])
    found = one_letter(letters, queues, build(KIND, pack, message_id="m"))
    assert found.fault is None
    letters.send([(found, SendAgain(tuple((job,) for job in found.jobs), 0))], NOW)
    assert len(bodies(aws, queues)) == 2


def test_what_is_released_is_seen_again_at_once(
    letters: SqsOpenedLetters, queues: SqsQueues
) -> None:
    found = one_letter(letters, queues, body("a"))
    assert letters.receive(QUEUE, 30) == []
    letters.release([found])
    assert [one.id for one in letters.receive(QUEUE, 30)] == [found.id]
