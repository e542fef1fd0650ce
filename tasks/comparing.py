"""Compares some users' merged features with the feature store, repairs and reports what differs.

The sample is of those already known, from a random place on; who is not known at all is found by
the sweep. The cache is read first, so that only what is really older can look so.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from config.features import Features
from domain.features import GroupRecord, UserFeatures, tombstone_over
from domain.ports import FeatureBatch, Ports
from tasks.syncing import measure_lag, refresh_hot


class Skew(StrEnum):
    """How a merged record may differ from the store's."""

    BEHIND = "behind"
    """The store has had a newer one for a while: merged now."""
    AHEAD = "ahead"
    """The store has an older one, as after a restore: nothing is done."""
    DIFFERS = "differs"
    """Another content of the same time, which does not win: nothing is done."""
    GONE = "gone"
    """The store has it no longer: erased, unless so many are gone that the store has lost them."""


@dataclass(frozen=True, slots=True)
class Found:
    """One record that differs, and what it is replaced by if it may be."""

    user_id: str
    group: str
    skew: Skew | None
    """None for one that is newer in the store, but only just."""
    replacement: GroupRecord | None = None


@dataclass(slots=True)
class Compared:
    """What a comparison found and did."""

    users: int = 0
    records: int = 0
    unread: int = 0
    skew: Counter[tuple[str, Skew]] = field(default_factory=Counter)
    repaired: int = 0
    held: int = 0
    """Gone records that were left alone."""
    failed: int = 0


def compare(ports: Ports, table: Features, after: str | None = None) -> Compared:
    """Compare a sample that begins behind `after`; default: a random place."""
    user_ids = _sample(ports, table.check.users, after or uuid.uuid4().hex)
    cached = ports.users.get_all(user_ids)
    batch = ports.features.read(user_ids, list(table.groups))
    found = [
        each
        for user_id, features in cached.items()
        if user_id not in batch.unread
        for each in _differences(features, batch, table, ports.clock())
    ]
    result = Compared(
        users=len(cached),
        records=sum(len(features.groups) for features in cached.values()),
        unread=len(batch.unread),
    )
    _report(result, found, ports)
    _repair(result, _allowed(result, found, table), ports)
    measure_lag(_newest(cached.values()), ports)
    return result


def _sample(ports: Ports, users: int, after: str) -> Sequence[str]:
    page = ports.users.page(after, users)
    found = dict.fromkeys(page.user_ids)
    if page.after is None and len(found) < users:
        found |= dict.fromkeys(ports.users.page(None, users - len(found)).user_ids)
    return list(found)


def _differences(
    cached: UserFeatures, batch: FeatureBatch, table: Features, now: float
) -> Iterator[Found]:
    stored = batch.records.get(cached.user_id, {})
    unusable = batch.unusable.get(cached.user_id, ())
    grace = table.check.grace_seconds
    settled = now - grace
    for group in table.groups:
        ours, theirs = cached.groups.get(group), stored.get(group)
        if group in unusable or ours == theirs or (theirs and theirs.is_ahead(now)):
            continue
        if theirs is None:
            # Which of the two clocks ends a time to live first is nobody's fault.
            if ours and ours.event_time <= settled and ours.is_live(now + grace):
                grave = tombstone_over(ours, table.sync.tombstone_seconds)
                yield Found(cached.user_id, group, Skew.GONE, grave)
        elif ours is None or theirs.supersedes(ours):
            is_late = theirs.event_time <= settled
            yield Found(cached.user_id, group, Skew.BEHIND if is_late else None, theirs)
        else:
            is_tie = theirs.event_time == ours.event_time
            yield Found(cached.user_id, group, Skew.DIFFERS if is_tie else Skew.AHEAD)


def _report(result: Compared, found: Sequence[Found], ports: Ports) -> None:
    result.skew.update((each.group, each.skew) for each in found if each.skew is not None)
    for (group, skew), records in result.skew.items():
        ports.metrics.count("feature_skew_total", records, group=group, kind=skew.value)


def _allowed(result: Compared, found: Sequence[Found], table: Features) -> Sequence[Found]:
    """What may be repaired: a store that has lost much must not have the rest erased."""
    gone = [each for each in found if each.skew is Skew.GONE]
    limit = max(table.check.gone_records, table.check.gone_share * result.records)
    if len(gone) <= limit:
        return found
    result.held = len(gone)
    return [each for each in found if each.skew is not Skew.GONE]


def _repair(result: Compared, found: Sequence[Found], ports: Ports) -> None:
    repairs: dict[str, dict[str, GroupRecord]] = {}
    for each in found:
        if each.replacement is not None:
            repairs.setdefault(each.user_id, {})[each.group] = each.replacement
    if not repairs:
        return
    batch = ports.users.merge_all(repairs)
    result.repaired = sum(len(repairs[user_id]) for user_id in batch.merged)
    result.failed = len(batch.failed)
    refresh_hot(batch.merged, ports)


def _newest(cached: Iterable[UserFeatures]) -> Mapping[str, float]:
    newest: dict[str, float] = {}
    for features in cached:
        for group, record in features.groups.items():
            newest[group] = max(record.event_time, newest.get(group, record.event_time))
    return newest
