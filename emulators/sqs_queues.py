"""The queue half of SQS: create, find, list, describe, tag, purge, delete."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from emulators import sqs_attributes, sqs_errors
from emulators.sqs_store import (
    AttributesChanged,
    Purged,
    Queue,
    QueueCreated,
    QueueDeleted,
    QueueStore,
    TagsChanged,
    check_dead_letter_target,
)
from emulators.wire import Call

if TYPE_CHECKING:
    from emulators.sqs_polling import Polling

MAX_PAGE = 1000
MAX_TAGS = 50

UrlOf = Callable[[Call, str], str]


class CreateQueue(msgspec.Struct, rename="pascal"):
    queue_name: str
    attributes: dict[str, str] = {}
    tags: dict[str, str] = msgspec.field(default={}, name="tags")


class GetQueueUrl(msgspec.Struct, rename="pascal"):
    queue_name: str


class ListQueues(msgspec.Struct, rename="pascal"):
    queue_name_prefix: str = ""
    next_token: str = ""
    max_results: int | None = None


class QueueOnly(msgspec.Struct, rename="pascal"):
    queue_url: str


class ListSources(msgspec.Struct, rename="pascal"):
    queue_url: str
    next_token: str = ""
    max_results: int | None = None


class GetAttributes(msgspec.Struct, rename="pascal"):
    queue_url: str
    attribute_names: list[str] = []


class SetAttributes(msgspec.Struct, rename="pascal"):
    queue_url: str
    attributes: dict[str, str]


class TagQueue(msgspec.Struct, rename="pascal"):
    queue_url: str
    tags: dict[str, str]


class UntagQueue(msgspec.Struct, rename="pascal"):
    queue_url: str
    tag_keys: list[str]


class QueueUrl(msgspec.Struct, rename="pascal"):
    queue_url: str


class QueueUrls(msgspec.Struct, omit_defaults=True):
    QueueUrls: list[str] = []
    NextToken: str = ""


class SourceUrls(msgspec.Struct, omit_defaults=True):
    queueUrls: list[str]  # noqa: N815 - the API's own spelling
    NextToken: str = ""


class Attributes(msgspec.Struct, rename="pascal", omit_defaults=True):
    attributes: dict[str, str] = {}


class Tags(msgspec.Struct, rename="pascal", omit_defaults=True):
    tags: dict[str, str] = {}


class QueueActions:
    def __init__(self, store: QueueStore, polling: Polling, url_of: UrlOf) -> None:
        self._store = store
        self._polling = polling
        self._url_of = url_of

    def create(self, request: CreateQueue, call: Call) -> QueueUrl:
        name = request.queue_name
        sqs_attributes.check_queue_name(name)
        attributes = sqs_attributes.checked(request.attributes)
        queue = self._store.get(name)
        if queue is not None:
            _check_same(queue, attributes)
        else:
            check_dead_letter_target(self._store, name, attributes)
            _check_tags(request.tags)
            now = self._store.clock()
            given = {k: v for k, v in attributes.items() if v}
            self._store.commit(QueueCreated(name, given, request.tags, now, now))
        return QueueUrl(self._url_of(call, name))

    def url(self, request: GetQueueUrl, call: Call) -> QueueUrl:
        if self._store.get(request.queue_name) is None:
            raise sqs_errors.no_such_queue()
        return QueueUrl(self._url_of(call, request.queue_name))

    def list_queues(self, request: ListQueues, call: Call) -> QueueUrls:
        names = sorted(q.name for q in self._store if q.name.startswith(request.queue_name_prefix))
        page, token = _page(names, request.next_token, request.max_results)
        return QueueUrls([self._url_of(call, name) for name in page], token)

    def list_sources(self, queue: Queue, request: ListSources, call: Call) -> SourceUrls:
        names = sorted(source.name for source in self._store.sources_of(queue.arn))
        page, token = _page(names, request.next_token, request.max_results)
        return SourceUrls([self._url_of(call, name) for name in page], token)

    def delete(self, queue: Queue, request: QueueOnly, call: Call) -> None:
        del request, call
        self._store.commit(QueueDeleted(queue.name))
        queue.messages.clear()
        self._polling.dismiss(queue, sqs_errors.no_such_queue())

    def purge(self, queue: Queue, request: QueueOnly, call: Call) -> None:
        del request, call
        self._store.commit(Purged(queue.name))

    def get_attributes(self, queue: Queue, request: GetAttributes, call: Call) -> Attributes:
        del call
        wanted = set(request.attribute_names)
        unknown = wanted - sqs_attributes.READABLE - {"All"}
        if unknown:
            raise sqs_errors.unknown_attribute(min(unknown))
        if not wanted:
            return Attributes()
        every = _described(queue)
        take_all = "All" in wanted
        return Attributes({k: v for k, v in every.items() if take_all or k in wanted})

    def set_attributes(self, queue: Queue, request: SetAttributes, call: Call) -> None:
        del call
        given = sqs_attributes.checked(request.attributes)
        if given.get("RedrivePolicy"):
            check_dead_letter_target(self._store, queue.name, given)
        merged = {k: v for k, v in {**queue.attributes, **given}.items() if v}
        self._store.commit(AttributesChanged(queue.name, merged, self._store.clock()))
        self._polling.notify(queue)

    def tag(self, queue: Queue, request: TagQueue, call: Call) -> None:
        del call
        tags = {**queue.tags, **request.tags}
        _check_tags(tags)
        self._store.commit(TagsChanged(queue.name, tags))

    def untag(self, queue: Queue, request: UntagQueue, call: Call) -> None:
        del call
        tags = {k: v for k, v in queue.tags.items() if k not in request.tag_keys}
        self._store.commit(TagsChanged(queue.name, tags))

    def tags(self, queue: Queue, request: QueueOnly, call: Call) -> Tags:
        del request, call
        return Tags(queue.tags)


def _check_same(queue: Queue, attributes: dict[str, str]) -> None:
    current = {**sqs_attributes.DEFAULTS, **queue.attributes}
    for name, value in attributes.items():
        if current.get(name, "") != value:
            raise sqs_errors.queue_exists(name)


def _check_tags(tags: dict[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise sqs_errors.invalid_parameters(f"Too many tags: at most {MAX_TAGS} are allowed.")


def _described(queue: Queue) -> dict[str, str]:
    counts = queue.messages.counts()
    return {
        **sqs_attributes.DEFAULTS,
        **queue.attributes,
        "ApproximateNumberOfMessages": str(counts.visible),
        "ApproximateNumberOfMessagesDelayed": str(counts.delayed),
        "ApproximateNumberOfMessagesNotVisible": str(counts.in_flight),
        "CreatedTimestamp": str(int(queue.created_at)),
        "LastModifiedTimestamp": str(int(queue.modified_at)),
        "QueueArn": queue.arn,
    }


def _page(names: list[str], token: str, limit: int | None) -> tuple[list[str], str]:
    """The names after the one the token holds; without MaxResults no token is ever given."""
    if limit is not None and not 1 <= limit <= MAX_PAGE:
        raise sqs_errors.invalid_value(limit, "MaxResults", f"Must be between 1 and {MAX_PAGE}.")
    if token:
        after = _read_token(token)
        names = [name for name in names if name > after]
    page = names[: limit or MAX_PAGE]
    more = limit is not None and len(names) > len(page)
    return page, base64.b64encode(page[-1].encode()).decode() if more else ""


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise sqs_errors.invalid_value(token, "NextToken", "Invalid or expired token.") from error
