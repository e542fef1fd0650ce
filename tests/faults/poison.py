"""Messages that are no jobs, one of each kind that was seen to hurt a Celery worker."""

import json
from base64 import b64encode
from typing import Any

import msgspec

from adapters.celery_envelope import build


def malformed(task: str = "cache.write") -> list[str]:
    """One body of each kind; the good part of them names this task."""
    good: dict[str, Any] = json.loads(build(task, b"poison", message_id="p"))
    headers = good["headers"]
    os_system = b"cos\nsystem\n(S'true'\ntR."

    def body(value: object) -> str:
        return b64encode(msgspec.msgpack.encode(value)).decode()

    bodies: list[dict[str, Any]] = [
        {**good, "headers": []},
        {**good, "body": None},
        {**good, "properties": None},
        {**good, "headers": {**headers, "timelimit": ["soon", {}]}},
        {**good, "body": "not base64!"},
        {**good, "headers": {"id": "p"}},
        {**good, "headers": {**headers, "task": "os.system"}},
        {**good, "content-type": "application/x-python-serialize", "body": body(os_system)},
        {**good, "content-type": "application/x-yaml"},
        {**good, "body": body({"args": ["poison"]})},
        {**good, "headers": {**headers, "origin": "a\u0007b\r\n"}},
    ]
    texts = ['{"body":' + "[" * 100_000, "hello world", '{"properties":{}}', "x" * 500_000]
    return texts + [json.dumps(one) for one in bodies]
