"""What our transport takes for granted of kombu's and Celery's insides, on these versions.

A failure here after an upgrade is no defect yet: read what changed in the named function, see
whether the named file of ours still fits, run the integration tests, then enter the new
fingerprint (printed in the failure).
"""

import hashlib
import importlib
import inspect
import textwrap
from importlib.metadata import version
from typing import Any

import pytest
from kombu import Connection
from kombu.asynchronous.http.curl import CurlClient
from kombu.asynchronous.hub import Hub
from kombu.transport import virtual

from adapters.celery_envelope import build, check
from workers.receiving import Receiver
from workers.transport import Channel, Transport

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/q"
OPTIONS = {"region": "eu-west-1", "predefined_queues": {"q": {"url": URL}}}

RELIED_ON = [
    # our file, their module, their function, its fingerprint
    ("transport.py", "kombu.transport.SQS", "Channel.__init__", "61871fe82e25"),
    ("transport.py", "kombu.transport.SQS", "Channel._update_queue_cache", "e18d339eee20"),
    ("transport.py", "kombu.transport.SQS", "Channel._resolve_queue_url", "0253b7160730"),
    ("transport.py", "kombu.transport.SQS", "Channel._new_boto_client", "26e7b6897736"),
    ("transport.py", "kombu.transport.SQS", "Channel._put", "31068efdde43"),
    ("transport.py", "kombu.transport.SQS", "Channel.basic_consume", "5ebb2e2b59bd"),
    ("transport.py", "kombu.transport.SQS", "Channel.basic_cancel", "0698e9e42e68"),
    ("transport.py", "kombu.transport.SQS", "Channel.basic_ack", "ec8c83fa632d"),
    ("transport.py", "kombu.transport.SQS", "Channel.basic_reject", "014854626b21"),
    ("transport.py", "kombu.transport.SQS", "Channel._schedule_queue", "b0326b68998d"),
    ("transport.py", "kombu.transport.SQS", "Channel.sqs", "994fc3364250"),
    ("transport.py", "kombu.transport.SQS", "Transport.__init__", "570eb70a1484"),
    ("transport.py", "kombu.transport.virtual.base", "QoS.__init__", "e6f66c48cb7f"),
    (
        "transport.py",
        "kombu.transport.virtual.base",
        "QoS.can_consume_max_estimate",
        "73f8b66c1f2e",
    ),
    ("transport.py", "kombu.transport.virtual.base", "QoS.append", "465769e97a71"),
    ("transport.py", "kombu.transport.virtual.base", "QoS._flush", "9ee70bd48c01"),
    ("transport.py", "kombu.transport.virtual.base", "QoS.restore_unacked_once", "31b570aeef0a"),
    ("transport.py", "kombu.transport.virtual.base", "Channel.basic_consume", "10acbcd002b0"),
    ("transport.py", "kombu.transport.virtual.base", "Channel.basic_cancel", "9bdc3b3dd4c9"),
    ("transport.py", "kombu.transport.virtual.base", "Channel.close", "37f40f359ceb"),
    ("envelope.py", "kombu.transport.virtual.base", "Message.__init__", "8a84e09d585d"),
    ("envelope.py", "kombu.serialization", "register_msgpack", "9f8218843660"),
    ("envelope.py", "celery.worker.request", "Request.__init__", "ba563d6610ef"),
    (
        "envelope.py",
        "celery.worker.consumer.consumer",
        "Consumer.create_task_handler",
        "3107b2ffefc9",
    ),
    ("transport.py", "celery.worker.consumer.consumer", "Consumer.call_soon_ack", "bdb21bba911d"),
    ("transport.py", "celery.worker.consumer.consumer", "Consumer.on_decode_error", "19f6cb0c22df"),
    ("requests.py", "celery.worker.request", "Request.on_failure", "3d0ebddebf98"),
    ("requests.py", "celery.worker.request", "create_request_cls", "871f30fe1cfe"),
    ("intake.py", "kombu.asynchronous.hub", "Hub.call_soon", "9ec88f2af167"),
    ("transport.py", "celery.worker.request", "Request.on_timeout", "712bdfdaa009"),
    ("intake.py", "celery.apps.worker", "_shutdown_handler", "901e0a5a2b3d"),
    ("receiving.py", "kombu.asynchronous.http.curl", "CurlClient.__init__", "0511513e980e"),
    ("receiving.py", "kombu.asynchronous.http.curl", "CurlClient._setup_request", "d01788537a1a"),
    ("receiving.py", "kombu.asynchronous.http.curl", "CurlClient._set_timeout", "97268d96b5f7"),
    ("receiving.py", "kombu.asynchronous.http.curl", "CurlClient._process", "0eb872edb9de"),
    ("receiving.py", "kombu.asynchronous.http.curl", "CurlClient.close", "a3f1ec21307c"),
    ("receiving.py", "kombu.asynchronous.aws.connection", "AsyncConnection._mexe", "2136a2608424"),
    (
        "receiving.py",
        "kombu.asynchronous.aws.connection",
        "AsyncConnection.get_http_connection",
        "88a5f6d2da02",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.connection",
        "AsyncHTTPSConnection.getrequest",
        "1e68b42080fa",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.connection",
        "AsyncHTTPSConnection.getresponse",
        "50537e49d439",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.connection",
        "AsyncAWSQueryConnection.get_list",
        "21a110e5e9e7",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.connection",
        "AsyncAWSQueryConnection._on_list_ready",
        "8ce4c4cc0b15",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.sqs.connection",
        "AsyncSQSConnection.__init__",
        "a7a155b7bd7a",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.sqs.connection",
        "AsyncSQSConnection.make_request",
        "b389516e7a64",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.sqs.connection",
        "AsyncSQSConnection.receive_message",
        "a42d33c3c38b",
    ),
    (
        "receiving.py",
        "kombu.asynchronous.aws.sqs.connection",
        "AsyncSQSConnection._create_json_request",
        "0c4267db03b8",
    ),
]


def fingerprint(module: str, name: str) -> str:
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    source = textwrap.dedent(inspect.getsource(function))
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def test_the_versions_are_those_that_the_transport_was_written_for() -> None:
    assert (version("kombu"), version("celery")) == ("5.7.0", "5.7.0")


@pytest.mark.parametrize(("ours", "module", "name", "known"), RELIED_ON)
def test_what_we_rely_on_has_not_changed(ours: str, module: str, name: str, known: str) -> None:
    found = fingerprint(module, name)
    assert found == known, f"{module}.{name} changed ({found}): check workers/{ours}"


def connect(monkeypatch: pytest.MonkeyPatch, url: str = "sqs://", **options: object) -> Channel:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    connection = Connection(url, transport=Transport, transport_options={**OPTIONS, **options})
    channel = connection.channel()
    assert isinstance(channel, Channel)
    return channel


def test_without_the_variable_the_region_is_reached_over_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    client = connect(monkeypatch).sqs("q")
    assert client.meta.endpoint_url == "https://sqs.eu-west-1.amazonaws.com"
    assert client._endpoint.host == client.meta.endpoint_url


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"])
def test_the_variable_decides_for_boto3_and_for_curl(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS", raising=False)
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    client = connect(monkeypatch).sqs("q")
    assert client.meta.endpoint_url == "http://127.0.0.1:1"
    asked: list[Any] = []
    monkeypatch.setattr(CurlClient, "add_request", lambda _, request: asked.append(request))
    receiver = Receiver(client, Hub(), lambda: client)
    receiver.receive(
        URL, 10, wait_seconds=1, timeout_seconds=2, visibility_timeout=30, done=lambda _: None
    )
    receiver.close()
    assert asked[0].url == "http://127.0.0.1:1"
    assert asked[0].request_timeout == 2


def test_a_variable_that_the_sdk_ignores_stops_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:2")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    with pytest.raises(RuntimeError, match="AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        connect(monkeypatch).sqs("q")


@pytest.mark.parametrize("url", ["sqs://127.0.0.1:4566", "sqs://key:secret@"])
def test_a_broker_url_with_more_than_its_scheme_is_refused(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    with pytest.raises(ValueError, match="sqs:// alone"):
        connect(monkeypatch, url)


def test_one_client_serves_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS", raising=False)
    assert connect(monkeypatch).sqs("q") is connect(monkeypatch).sqs()


def test_a_queue_that_is_not_predefined_is_never_created(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    with pytest.raises(Exception, match="predefined_queues"):
        connect(monkeypatch).queue_declare("another")
    assert connect(monkeypatch).queue_declare("q").message_count == 0


def test_kombu_decodes_what_we_build(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = check(build("test.note", b"\x00pack", message_id="m-1")).payload("handle", {})
    message = virtual.Message(payload, channel=connect(monkeypatch))
    message.accept = {"application/x-msgpack"}
    assert message.decode() == [[b"\x00pack"], {}, None]
    assert message.headers["task"] == "test.note"
    assert message.delivery_tag == "handle"
