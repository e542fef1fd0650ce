"""The body of an SQS message: Celery's protocol 2, built for the relay, checked for the worker.

`build` makes the smallest body that kombu and Celery accept. `check` is the only door through which
a received body reaches them: whatever it does not expect is refused with `Malformed`, so that no
message can stop a worker. Knows no queue, no task and no job: a pack is bytes.
"""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from kombu.exceptions import KombuError
from kombu.serialization import loads

from adapters.celery_headers import is_acceptable, is_plain_text
from config.queues import MAX_BODY_BYTES

CONTENT_TYPE = "application/x-msgpack"
MAX_DEPTH = 32
MAX_HEADERS = 64

HIDDEN = "-"
"""Stands for the arguments in logs: Celery prints the arguments themselves for an empty text."""

_SHOWN_BY_CELERY = frozenset({"argsrepr", "kwargsrepr", "shadow"})
_NOT_SERVED = frozenset({"compression", "eta", "group", "stamps", "stamped_headers", "taskset"})
_LINKS = frozenset({"callbacks", "errbacks", "chain", "chord"})

Json = dict[str, object]


class Reason(StrEnum):
    """Why a body was refused; few enough to label a metric."""

    SIZE = "size"
    JSON = "json"
    ENVELOPE = "envelope"
    HEADERS = "headers"
    TASK = "task"
    UNKNOWN_TASK = "unknown_task"
    PROPERTIES = "properties"
    CONTENT_TYPE = "content_type"
    ENCODING = "encoding"
    ARGUMENTS = "arguments"


class Malformed(ValueError):  # noqa: N818 - says what the message is
    """This body is no task for us; `detail` holds nothing of what it carries."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Envelope:
    """A body that passed: nothing in it but what was checked."""

    task: str
    id: str
    headers: Mapping[str, object]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    content: str
    """The arguments as they came: base64 of msgpack."""

    def payload(self, delivery_tag: str, delivery_info: Json) -> Json:
        """Write out what kombu's virtual transport turns into a message."""
        return {
            "body": self.content,
            "content-type": CONTENT_TYPE,
            "content-encoding": "binary",
            "headers": dict(self.headers),
            "properties": {
                "body_encoding": "base64",
                "correlation_id": self.id,
                "delivery_tag": delivery_tag,
                "delivery_info": delivery_info,
                "priority": 0,
            },
        }


def build(
    task_name: str, pack: bytes, *, message_id: str, headers: Mapping[str, str] | None = None
) -> str:
    """Write the body of the SQS message that runs `task_name(pack)`.

    Raises ValueError for a name, id or header that `check` would refuse, and for a body over
    `MAX_BODY_BYTES`.
    """
    content = b64encode(msgspec.msgpack.encode([[pack], {}, None])).decode("ascii")
    body = json.dumps(
        {
            "body": content,
            "content-type": CONTENT_TYPE,
            "content-encoding": "binary",
            "headers": {**(headers or {}), "task": task_name, "id": message_id},
            "properties": {"body_encoding": "base64"},
        },
        separators=(",", ":"),
    )
    if len(body) > MAX_BODY_BYTES:
        raise Malformed(Reason.SIZE, f"{len(body)} bytes, the limit is {MAX_BODY_BYTES}")
    _headers({**(headers or {}), "task": task_name, "id": message_id})
    return body


def check(body: object, known_tasks: Container[str] | None = None) -> Envelope:
    """Read a received body, or raise Malformed and nothing else."""
    envelope = _json_object(body)
    if envelope.get("content-type") != CONTENT_TYPE:
        raise Malformed(Reason.CONTENT_TYPE, "is not msgpack")
    if envelope.get("content-encoding") != "binary":
        raise Malformed(Reason.CONTENT_TYPE, "content-encoding is not binary")
    properties = envelope.get("properties")
    if not isinstance(properties, dict) or properties.get("body_encoding") != "base64":
        raise Malformed(Reason.PROPERTIES, "no properties with body_encoding base64")
    headers = _headers(envelope.get("headers"))
    task = str(headers["task"])
    if known_tasks is not None and task not in known_tasks:
        raise Malformed(Reason.UNKNOWN_TASK, task)
    content = envelope.get("body")
    args, kwargs = _arguments(content)
    return Envelope(task, str(headers["id"]), headers, args, kwargs, str(content))


def _json_object(body: object) -> Json:
    if not isinstance(body, str):
        raise Malformed(Reason.ENVELOPE, "is not text")
    if len(body) > MAX_BODY_BYTES:
        raise Malformed(Reason.SIZE, f"{len(body)} characters, the limit is {MAX_BODY_BYTES}")
    raw = body.lstrip()
    # Stock producers encode the whole envelope once more.
    text: str | bytes = raw if raw.startswith("{") else _from_base64(raw, "the envelope")
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise Malformed(Reason.JSON, "does not parse") from None
    if not isinstance(value, dict):
        raise Malformed(Reason.ENVELOPE, "is not an object")
    return value


def _from_base64(text: str, what: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(Reason.ENCODING, f"{what} is not base64") from None


def _arguments(content: object) -> tuple[tuple[object, ...], dict[str, object]]:
    if not isinstance(content, str) or not content:
        raise Malformed(Reason.ENCODING, "the body is not text")
    raw = _from_base64(content, "the body")
    try:
        # Celery's own decoder, for a body that only another one can read would be deleted there.
        value = loads(raw, CONTENT_TYPE, "binary", accept={CONTENT_TYPE})
    except (KombuError, ValueError, TypeError, OverflowError, RecursionError):
        raise Malformed(Reason.ENCODING, "the body is not msgpack") from None
    if not isinstance(value, list) or len(value) != 3:  # noqa: PLR2004 - args, kwargs, links
        raise Malformed(Reason.ARGUMENTS, "the body is not [args, kwargs, embed]")
    args, kwargs, links = value
    if not isinstance(args, list) or not _is_mapping_of_names(kwargs):
        raise Malformed(Reason.ARGUMENTS, "args is not a list or kwargs no mapping of names")
    if links is not None and not _is_without_links(links):
        raise Malformed(Reason.ARGUMENTS, "callbacks, chains and chords are not served")
    if not _is_shallow([args, kwargs]):
        raise Malformed(Reason.ARGUMENTS, f"nested deeper than {MAX_DEPTH}")
    return tuple(args), kwargs


def _is_mapping_of_names(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_without_links(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(key, str) and key in _LINKS and not link for key, link in value.items()
    )


def _is_shallow(value: list[object]) -> bool:
    level = value
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return True
        level = inner
    return False


def _headers(value: object) -> dict[str, object]:
    if not isinstance(value, dict) or len(value) > MAX_HEADERS:
        raise Malformed(Reason.HEADERS, "is not a small object")
    headers: dict[str, object] = {}
    for name, item in value.items():
        if not is_plain_text(name):
            raise Malformed(Reason.HEADERS, "a name is not plain text")
        if name in _NOT_SERVED:
            if item:
                raise Malformed(Reason.HEADERS, f"{name} is not served")
        elif name not in _SHOWN_BY_CELERY:
            headers[name] = item
            if not is_acceptable(name, item):
                reason = Reason.TASK if name == "task" else Reason.HEADERS
                raise Malformed(reason, f"{name} is not acceptable")
    for name in ("task", "id"):
        if name not in headers:
            raise Malformed(Reason.TASK if name == "task" else Reason.HEADERS, f"no {name}")
    headers["argsrepr"] = headers["kwargsrepr"] = HIDDEN
    return headers
