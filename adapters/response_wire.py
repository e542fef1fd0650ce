"""Responses as the bytes that lie in Redis and travel through the queue.

A response is a `StoredAnswer` with a flag, so that whoever reads only headers reads both alike. Its
body is an extension (owner, fingerprint, chunk plan, seal) and the JSON, compressed when large. The
seal is a keyed hash over all of it, so that nobody without the secret can forge or move a response.
"""

import hmac
import struct
import sys
from array import array
from dataclasses import replace
from hashlib import blake2b

import zstandard

from domain.answers import Damage, Damaged, StoredAnswer, hash_of
from domain.response_cache import DIGEST_BYTES, StoredResponse

IS_RESPONSE, IS_COMPRESSED, IS_NEGATIVE = 1, 2, 4
KNOWN_FLAGS = IS_RESPONSE | IS_COMPRESSED | IS_NEGATIVE

EXTENSION = struct.Struct(f"<{DIGEST_BYTES}s{DIGEST_BYTES}s{DIGEST_BYTES}sfH")
"""Seal, owner, fingerprint, seconds of computation, number of chunks; then the chunk lengths.

`adapters/redis_functions.lua` reads the fingerprint at its offset.
"""
MAX_CHUNKS = 4096
MAX_CHUNK_CHARS = 0xFFFF
MAX_STORED_BYTES = 48 * 1024
"""What fits into one event, and may pass over the shared connection."""
MAX_BODY_BYTES = 1024 * 1024
"""What a stored response may unfold to."""
LEVEL = 1


class ResponseWire:
    """Writes and reads responses under one secret; both sides need the same.

    Without a secret nothing can be sealed: no response is kept, and none is taken for a good one.
    Bodies from `compress_bytes` on are compressed. Thread-safe.
    """

    def __init__(self, secret: str, *, compress_bytes: int) -> None:
        # A key of its own purpose: the secret is also that of the pseudonyms.
        self._key = blake2b(secret.encode(), person=b"response seal").digest() if secret else b""
        self._compress_bytes = compress_bytes

    def pack(self, response: StoredResponse) -> bytes | None:
        """The bytes to store; None for a response too large to be kept, and without a key."""
        flags = IS_RESPONSE | (IS_NEGATIVE if response.is_negative else 0)
        body = response.body
        if not self._key or len(body) > MAX_BODY_BYTES:
            return None
        if len(body) >= self._compress_bytes:
            flags, body = flags | IS_COMPRESSED, self._folded(body)
        plan = _plan(response)
        unsealed = EXTENSION.pack(
            bytes(DIGEST_BYTES), response.owner, response.fingerprint, response.compute_seconds,
            len(plan) // 2,
        ) + plan + body  # fmt: skip
        answer = StoredAnswer(
            key_hash=hash_of(response.key),
            version=response.version,
            generated_at=response.generated_at,
            soft_expires_at=response.soft_expires_at,
            hard_expires_at=response.hard_expires_at,
            preview=response.preview,
            body=unsealed,
            flags=flags,
        )
        sealed = self._seal(answer, response.key) + unsealed[DIGEST_BYTES:]
        packed = replace(answer, body=sealed).pack()
        return packed if len(packed) <= MAX_STORED_BYTES else None

    def unpack(self, stored: bytes, key: str, owner: bytes | None = None) -> StoredResponse:
        """The response in these bytes, read under `key`; raises Damaged unless they are a good one.

        With the tag of the `owner` whom it is for, also for another one's.
        """
        answer = StoredAnswer.unpack(stored, key, KNOWN_FLAGS)
        if not answer.flags & IS_RESPONSE or len(answer.body) < EXTENSION.size:
            raise Damaged(Damage.FORMAT)
        seal, owned, fingerprint, seconds, count = EXTENSION.unpack_from(answer.body)
        if owner is not None and owned != owner:
            raise Damaged(Damage.FOREIGN_OWNER)
        if not self._key or not hmac.compare_digest(seal, self._seal(answer, key)):
            raise Damaged(Damage.SEAL)
        begin = EXTENSION.size + 2 * count
        if count > MAX_CHUNKS or len(answer.body) < begin:
            raise Damaged(Damage.TRUNCATED)
        return StoredResponse(
            key=key,
            owner=owned,
            fingerprint=fingerprint,
            version=answer.version,
            generated_at=answer.generated_at,
            soft_expires_at=answer.soft_expires_at,
            hard_expires_at=answer.hard_expires_at,
            compute_seconds=seconds,
            is_negative=bool(answer.flags & IS_NEGATIVE),
            chunks=_chunks(answer.body[EXTENSION.size : begin]),
            preview=answer.preview,
            body=self._unfolded(answer, answer.body[begin:]),
        )

    def _seal(self, answer: StoredAnswer, key: str) -> bytes:
        """The keyed hash of the whole answer under its whole key, its own place left blank."""
        hashed = blake2b(key.encode(), key=self._key, digest_size=DIGEST_BYTES)
        blank = bytes(DIGEST_BYTES) + answer.body[DIGEST_BYTES:]
        hashed.update(replace(answer, body=blank).pack())
        return hashed.digest()

    def _folded(self, body: bytes) -> bytes:
        # One for each call: zstandard's objects are not for two threads at once.
        return zstandard.ZstdCompressor(level=LEVEL).compress(body)

    def _unfolded(self, answer: StoredAnswer, body: bytes) -> bytes:
        if not answer.flags & IS_COMPRESSED:
            return body
        try:
            if not 0 < zstandard.frame_content_size(body) <= MAX_BODY_BYTES:
                raise Damaged(Damage.FORMAT)
            return zstandard.ZstdDecompressor().decompress(body)
        except zstandard.ZstdError as error:
            raise Damaged(Damage.FORMAT) from error


def _plan(response: StoredResponse) -> bytes:
    """The chunk lengths; none where they are too many or too large to be kept."""
    chunks = response.chunks
    if len(chunks) > MAX_CHUNKS or any(not 0 < size <= MAX_CHUNK_CHARS for size in chunks):
        return b""
    return _little(array("H", chunks)).tobytes()


def _chunks(plan: bytes) -> tuple[int, ...]:
    return tuple(_little(array("H", plan)))


def _little(numbers: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
