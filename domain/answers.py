"""Stored answers: the bytes that lie in Redis, ready to send, and how they are rendered.

A stored answer is a fixed header, a preview of the text and the JSON body without its closing
brace. The header can be read without decoding the body, and the request path splices what only
it knows (source, age, event id) behind the body. A checksum over all of it and a hash of the key
tell an answer that is damaged, or that lies under a key it was not made for, from a good one.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from domain.errors import Malformed
from domain.events import Locale

_MAGIC = b"MAA2"
HEADER = struct.Struct("<4sHHQdddIII")
"""magic, flags, preview bytes, version, generated at, soft and hard expiry, CRC-32 of the key, body
bytes, CRC-32 of everything but itself.

`adapters/redis_functions.lua` reads the preview length and the version at their offsets.
"""
_CRC_AT = HEADER.size - 4

DEFAULT_LOCALE: Locale = "ja"

PREVIEW_CHARS = 200
"""How much of an answer a session turn keeps (from the second seed)."""


class Damage(StrEnum):
    """What is wrong with a stored value; few enough to label a metric."""

    WRONG_TYPE = "wrong_type"
    FORMAT = "format"
    TRUNCATED = "truncated"
    CHECKSUM = "checksum"
    FOREIGN_KEY = "foreign_key"
    FOREIGN_OWNER = "foreign_owner"
    SEAL = "seal"


class Damaged(Malformed):
    """A stored value that is no answer, or not the one that belongs under its key."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(f"a stored answer is damaged: {damage}")
        self.damage = damage


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One precomputed answer. Times are epoch seconds, `version` grows with every publication.

    `body` is UTF-8 JSON without the closing brace: `{"answer":{…},"generated_at":"…","version":n`.
    `key_hash` is that of the key it was made for. `flags` says what else the body holds, for those
    who know of it (`adapters/response_wire.py`): a plain answer has none.
    """

    key_hash: int
    version: int
    generated_at: float
    soft_expires_at: float
    hard_expires_at: float
    preview: str
    body: bytes
    flags: int = 0

    def pack(self) -> bytes:
        """The bytes to store."""
        preview = self.preview.encode()
        head = HEADER.pack(
            _MAGIC,
            self.flags,
            len(preview),
            self.version,
            self.generated_at,
            self.soft_expires_at,
            self.hard_expires_at,
            self.key_hash,
            len(self.body),
            0,
        )[:_CRC_AT]
        tail = preview + self.body
        return head + zlib.crc32(tail, zlib.crc32(head)).to_bytes(4, "little") + tail

    @classmethod
    def unpack(cls, stored: bytes, key: str | None = None, known_flags: int = 0) -> "StoredAnswer":
        """The answer in these bytes; raises Damaged for any that `pack` did not write.

        With the `key` that they were read under, also for an answer made for another one; always
        for one with flags that the caller does not know.
        """
        header = Header.unpack(stored)
        if header.flags & ~known_flags:
            raise Damaged(Damage.FORMAT)
        tail = stored[HEADER.size :]
        if len(tail) != header.preview_bytes + header.body_bytes:
            raise Damaged(Damage.TRUNCATED)
        if zlib.crc32(tail, zlib.crc32(stored[:_CRC_AT])) != header.crc:
            raise Damaged(Damage.CHECKSUM)
        if key is not None and hash_of(key) != header.key_hash:
            raise Damaged(Damage.FOREIGN_KEY)
        return cls(
            key_hash=header.key_hash,
            version=header.version,
            generated_at=header.generated_at,
            soft_expires_at=header.soft_expires_at,
            hard_expires_at=header.hard_expires_at,
            preview=header.preview(stored),
            body=tail[header.preview_bytes :],
            flags=header.flags,
        )


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a stored answer without decoding its body."""

    flags: int
    preview_bytes: int
    version: int
    generated_at: float
    soft_expires_at: float
    hard_expires_at: float
    key_hash: int
    body_bytes: int
    crc: int

    @classmethod
    def unpack(cls, stored: bytes) -> "Header":
        """The header at the start of these bytes; raises Damaged."""
        if len(stored) < HEADER.size:
            raise Damaged(Damage.TRUNCATED)
        magic, *fields = HEADER.unpack_from(stored)
        if magic != _MAGIC:
            raise Damaged(Damage.FORMAT)
        return cls(*fields)

    def preview(self, stored: bytes) -> str:
        """The first characters of the answer's text."""
        return stored[HEADER.size : HEADER.size + self.preview_bytes].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """Names one answer: kind, slug within the kind (empty where it has only one) and locale."""

    kind: str
    slug: str
    locale: Locale

    def redis_key(self) -> str:
        """The key under which the answer lies in Redis."""
        if self.kind == "trending":
            return f"trending:manga:top10:{self.locale}"
        return f"answer:{self.kind}:{self.slug or 'all'}:{self.locale}"

    def redis_keys(self) -> Sequence[str]:
        """Every key to publish under: the store's default locale also has a key without one."""
        if self.kind == "trending" and self.locale == DEFAULT_LOCALE:
            return (self.redis_key(), "trending:manga:top10")
        return (self.redis_key(),)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is stored; `items` are in the API's item shape, best first."""

    key: AnswerKey
    text: str
    items: Sequence[Mapping[str, object]]

    def body(self, version: int, generated_at: float) -> bytes:
        """The JSON body, without its closing brace, as `StoredAnswer` keeps it."""
        document = {
            "answer": {
                "text": self.text,
                "items": self.items,
                "kind": self.key.kind,
                "locale": self.key.locale,
            },
            "generated_at": rfc3339(generated_at),
            "version": version,
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))[:-1].encode()


def store(
    answer: Answer, *, version: int, now: float, ttl_seconds: float, hard_ttl_seconds: float
) -> StoredAnswer:
    """The answer as it is published at `now`: stale after one TTL, gone after the hard one."""
    return StoredAnswer(
        key_hash=hash_of(answer.key.redis_key()),
        version=version,
        generated_at=now,
        soft_expires_at=now + ttl_seconds,
        hard_expires_at=now + hard_ttl_seconds,
        preview=answer.text[:PREVIEW_CHARS],
        body=answer.body(version, now),
    )


def hash_of(key: str) -> int:
    """What a stored answer knows of the key it was made for: that of `AnswerKey.redis_key`."""
    return zlib.crc32(key.encode())


def rfc3339(epoch_seconds: float) -> str:
    """A UTC time stamp with milliseconds, for example 2026-01-31T09:15:00.250Z."""
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
