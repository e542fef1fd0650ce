"""All feature groups by name, and every change to them as a journalled record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from emulators.featurestore_state import ARN_PREFIX, Group, OnlineGroup, Record, no_such_group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emulators.journal import Journal
    from emulators.wire import Clock

SNAPSHOT_CHUNK = 500


class Declared(msgspec.Struct, array_like=True, tag="declare"):
    group: Group


class Put(msgspec.Struct, array_like=True, tag="put"):
    group: str
    records: list[Record]


class Dropped(msgspec.Struct, array_like=True, tag="drop"):
    group: str
    identifier: str


Change = Declared | Put | Dropped


class FeatureStore:
    def __init__(self, clock: Clock, journal: Journal | None) -> None:
        self.clock = clock
        self._groups: dict[str, OnlineGroup] = {}
        self._journal = journal
        self._encoder = msgspec.msgpack.Encoder()
        if journal is not None:
            decoder = msgspec.msgpack.Decoder(Change)
            for payload in journal.replay():
                self._apply(decoder.decode(payload))

    def __iter__(self) -> Iterator[Group]:
        return (online.group for online in self._groups.values())

    def get(self, name_or_arn: str) -> OnlineGroup:
        name = ARN_PREFIX.sub("", name_or_arn, count=1)
        online = self._groups.get(name)
        if online is None:
            raise no_such_group(name)
        return online

    def declare(self, group: Group) -> None:
        """Idempotent; declaring a group anew changes its settings and keeps its records."""
        known = self._groups.get(group.name)
        if known is None or known.group != group:
            self._commit(Declared(group))

    def put(self, online: OnlineGroup, record: Record) -> None:
        self._commit(Put(online.group.name, [record]))

    def drop(self, online: OnlineGroup, identifier: str) -> None:
        self._commit(Dropped(online.group.name, identifier))

    def _commit(self, change: Change) -> None:
        if self._journal is not None:
            self._journal.append(self._encoder.encode(change))
        self._apply(change)
        if self._journal is not None and self._journal.wants_compaction:
            self._journal.compact(self._snapshot())

    def _apply(self, change: Change) -> None:
        if isinstance(change, Declared):
            name = change.group.name
            online = self._groups.setdefault(name, OnlineGroup(change.group, self.clock))
            online.group = change.group
        elif isinstance(change, Put):
            for record in change.records:
                self._groups[change.group].put(record)
        else:
            self._groups[change.group].drop(change.identifier)

    def _snapshot(self) -> Iterator[bytes]:
        for name, online in self._groups.items():
            yield self._encoder.encode(Declared(online.group))
            records = list(online)
            for start in range(0, len(records), SNAPSHOT_CHUNK):
                yield self._encoder.encode(Put(name, records[start : start + SNAPSHOT_CHUNK]))

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
