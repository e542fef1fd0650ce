"""The published answers in Redis: one versioned set for each kind, switched in one step.

Uses `ma3_publish`, `ma3_roll_back` and `ma3_write`, which explain the keys; a publication blocks
the server for about 1.5 ms for each hundred answers. Every key expires after the hard
time to live of its kind, also one that nothing refreshes any more.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from adapters.redis_connection import RedisConnection
from adapters.redis_errors import translated
from domain.answers import AnswerKey, Header, StoredAnswer
from domain.errors import Malformed, Refused
from domain.ports import PublishedSet, Written

VERSIONS_KEPT = 5
"""The current version and those that `roll_back` can return to."""

_SET, _HOLD, _LEASE = "answer_set:", "answer_hold:", "answer_lease:"
_ARCHIVE, _VERSIONS = "answer_archive:", "answer_versions:"

# A lease that expired and was taken by somebody else must stay theirs.
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

_encode_meta = msgspec.json.Encoder().encode
_decode_meta = msgspec.json.Decoder(PublishedSet).decode


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A published set as an operator sees it; the versions are those there are, newest first."""

    published: PublishedSet
    is_held: bool
    versions: Sequence[int]
    keys: Sequence[str]


class RedisAnswers:
    """Implements `domain.ports.AnswerSets`."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._redis = connection.client
        self._leases: dict[str, str] = {}

    def current(self, kind: str) -> PublishedSet | None:
        """The set being served, or None before the first publication."""
        with translated():
            meta = self._redis.hget(_SET + kind, "meta")
        return _meta(meta) if meta else None

    def publish(
        self, published: PublishedSet, answers: Mapping[AnswerKey, StoredAnswer]
    ) -> Written:
        """Replace the kind's set at once, unless a version at least as new is there."""
        if not answers:
            raise ValueError("an empty set would leave a gap: withdraw the kind")
        rows: list[str | bytes] = []
        for key, answer in answers.items():
            packed = answer.pack()
            for name in key.redis_keys():
                rows += (name, packed)
        return self._publish(published, max(map(_hard_seconds, answers.values())), rows)

    def withdraw(self, published: PublishedSet, seconds: float) -> Written:
        """Publish that there are none, which is no version to return to."""
        return self._publish(published, max(1, round(seconds)), ())

    def write(self, key: AnswerKey, answer: StoredAnswer) -> Written:
        """Write one answer beside the set, unless one at least as new is there.

        Where it lies under several keys, one that was written anew makes it applied.
        """
        packed, seconds = answer.pack(), _hard_seconds(answer)
        done = [
            self._connection.call("ma3_write", (name,), answer.version, seconds, packed)
            for name in key.redis_keys()
        ]
        return Written(min(done))

    def roll_back(self, kind: str, hold_seconds: float) -> PublishedSet:
        """Serve the version before again; raises Refused where there is none."""
        current = self.current(kind)
        left = current.version if current else 0
        meta = self._connection.call("ma3_roll_back", (), kind, max(1, round(hold_seconds)), left)
        if not meta:
            raise Refused(f"there is no version of {kind} before the current one")
        served = _meta(meta)
        if served.version > left:
            raise Refused(f"a newer version of {kind} was published meanwhile: try again")
        return served

    def held(self, kind: str) -> bool:
        """Whether scheduled publications of the kind are held after a rollback."""
        with translated():
            return bool(self._redis.exists(_HOLD + kind))

    def release(self, kind: str) -> None:
        """End the hold of a rollback."""
        with translated():
            self._redis.delete(_HOLD + kind)

    def claim(self, kind: str, seconds: float) -> bool:
        """Take the lease on computing the kind; False while somebody else has it."""
        token = secrets.token_hex(8)
        with translated():
            taken = self._redis.set(_LEASE + kind, token, nx=True, px=max(1, int(seconds * 1000)))
            # A repeated command finds what it wrote itself when only the reply was lost.
            taken = taken or self._redis.get(_LEASE + kind) == token.encode()
        if taken:
            self._leases[kind] = token
        return bool(taken)

    def unclaim(self, kind: str) -> None:
        """Give the lease back."""
        token = self._leases.pop(kind, None)
        if token is not None:
            with translated():
                self._redis.eval(_GIVE_BACK, 1, _LEASE + kind, token)

    def listing(self) -> list[StoredSet]:
        """Every published set, by kind."""
        with translated():
            kinds = sorted(
                key.decode().removeprefix(_SET) for key in self._redis.scan_iter(f"{_SET}*")
            )
            return list(self._stored_sets(kinds))

    def show(self, redis_key: str) -> StoredAnswer | None:
        """The answer under a key, None where there is none; raises Malformed for a damaged one."""
        with translated():
            stored = self._redis.get(redis_key)
        return StoredAnswer.unpack(stored) if stored is not None else None

    def header(self, redis_key: str) -> Header | None:
        """What is known of an answer without reading its body."""
        with translated():
            start = self._redis.getrange(redis_key, 0, 4095)
        return Header.unpack(start) if start else None

    def _publish(
        self, published: PublishedSet, hard_seconds: int, rows: Sequence[str | bytes]
    ) -> Written:
        done = self._connection.call(
            "ma3_publish", (), published.kind, published.version, _encode_meta(published),
            hard_seconds, VERSIONS_KEPT, *rows,
        )  # fmt: skip
        return Written(done)

    def _stored_sets(self, kinds: Sequence[str]) -> Iterator[StoredSet]:
        for kind in kinds:
            published = self.current(kind)
            if published is None:
                continue
            archive = f"{_ARCHIVE}{kind}:{published.version}"
            versions = self._redis.zrange(_VERSIONS + kind, 0, -1, desc=True)
            yield StoredSet(
                published=published,
                is_held=self.held(kind),
                versions=[int(version) for version in versions],
                keys=sorted(key.decode() for key in self._redis.hkeys(archive)),
            )


def _hard_seconds(answer: StoredAnswer) -> int:
    return max(1, round(answer.hard_expires_at - answer.generated_at))


def _meta(encoded: bytes) -> PublishedSet:
    try:
        return _decode_meta(encoded)
    except (msgspec.DecodeError, ValueError) as error:
        raise Malformed("what is known of a published set cannot be read") from error
