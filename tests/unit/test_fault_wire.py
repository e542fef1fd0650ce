"""What the proxy does to requests and replies of AWS."""

from typing import Any

import msgspec
import pytest

from tests.faults import aws_wire
from tests.faults.aws_wire import Message


def request(action: str, document: object) -> Message:
    head = (b"POST / HTTP/1.1", b"X-Amz-Target: Service_2013." + action.encode())
    return Message(head, b"").with_document(document)


def reply(document: object) -> Message:
    return Message((b"HTTP/1.1 200 OK", b"x-amz-crc32: 1"), b"").with_document(document)


def document(message: Message) -> Any:
    return msgspec.json.decode(message.body)


def test_a_message_is_written_as_it_was_read() -> None:
    message = request("PutItem", {"a": 1})
    assert message.action == "PutItem"
    assert message.encoded().endswith(b'content-length: 7\r\n\r\n{"a":1}')


def test_what_is_left_out_of_put_records_is_reported_in_its_place() -> None:
    whole = request("PutRecords", {"StreamName": "s", "Records": [{"Data": n} for n in range(5)]})
    cut, mended = aws_wire.cut(whole, 0.4)
    assert mended is not None
    assert [row["Data"] for row in document(cut)["Records"]] == [2, 3, 4]
    taken = [{"SequenceNumber": str(n), "ShardId": "1"} for n in range(3)]
    answer = mended(reply({"FailedRecordCount": 0, "Records": taken}))
    assert answer.header(b"x-amz-crc32") == b""
    assert document(answer)["FailedRecordCount"] == 2
    assert document(answer)["Records"] == [aws_wire.FAILED, aws_wire.FAILED, *taken]


def test_what_is_left_out_of_put_log_events_was_too_old() -> None:
    cut, mended = aws_wire.cut(request("PutLogEvents", {"logEvents": [1, 2, 3]}), 0.5)
    assert mended is not None
    assert document(cut)["logEvents"] == [3]
    answer = document(mended(reply({"nextSequenceToken": "t"})))
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2}


def test_what_is_left_out_of_a_batch_write_is_unprocessed() -> None:
    cut, mended = aws_wire.cut(request("BatchWriteItem", {"RequestItems": {"t": [1, 2]}}), 0.5)
    assert mended is not None
    assert document(cut)["RequestItems"] == {"t": [2]}
    assert document(mended(reply({"UnprocessedItems": {}})))["UnprocessedItems"] == {"t": [1]}


def test_only_a_read_that_asks_for_no_better_may_be_stale() -> None:
    assert aws_wire.may_be_stale(request("GetItem", {"Key": 1}))
    assert aws_wire.may_be_stale(request("GetItem", {"ConsistentRead": False}))
    assert not aws_wire.may_be_stale(request("GetItem", {"ConsistentRead": True}))
    nested = {"RequestItems": {"t": {"Keys": [1], "ConsistentRead": True}}}
    assert not aws_wire.may_be_stale(request("BatchGetItem", nested))
    assert not aws_wire.may_be_stale(request("UpdateItem", {"Key": 1}))


@pytest.mark.parametrize("action", ["UpdateItem", "PutRecords"])
def test_nothing_is_left_out_where_nothing_can_be(action: str) -> None:
    whole = request(action, {"Records": [1]})
    assert aws_wire.cut(whole, 0.9) == (whole, None)


def test_an_error_names_its_code() -> None:
    error = aws_wire.error(400, "ThrottlingException")
    assert error.lines[0] == b"HTTP/1.1 400 Error"
    assert document(error)["__type"] == "ThrottlingException"
