"""Brings users' features up to date: reads them, merges them, and refreshes what Redis holds.

What the store does not answer is left for another try, and never taken for a deletion. A record
whose event time is that of a wrong clock is kept back: merged, it would bar every true one.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from config import recommendations
from domain.errors import MangaAssistError, Permanent, Transient
from domain.features import GroupRecord, UserFeatures
from domain.merging import Admitted, admit
from domain.ports import FeatureBatch, Merged, Ports, Written

NO_DELETIONS: Mapping[str, Mapping[str, GroupRecord]] = {}


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of the users: merged, failed, or with a record that had to be kept back."""

    merged: Mapping[str, Merged]
    failed: Mapping[str, MangaAssistError]
    quarantined: Mapping[str, Permanent]

    def written(self) -> Counter[Written]:
        """How many records ended in each way."""
        return Counter(chain.from_iterable(each.written.values() for each in self.merged.values()))


def sync(
    user_ids: Sequence[str],
    groups: Sequence[str],
    ports: Ports,
    deletions: Mapping[str, Mapping[str, GroupRecord]] = NO_DELETIONS,
) -> Synced:
    """Read these users' records and merge them, with tombstones of what is known to be deleted.

    Raises Transient where the store or the cache answers nothing at all.
    """
    batch = ports.features.read(user_ids, groups)
    found = {
        user_id: UserFeatures(user_id, records).merged(deletions.get(user_id, {})).groups
        for user_id in user_ids
        if (records := batch.records.get(user_id, {})) or user_id in deletions
    }
    admitted = {user_id: admit(records, ports.clock()) for user_id, records in found.items()}
    result = ports.users.merge_all(
        {user_id: it.records for user_id, it in admitted.items() if it.records}
    )
    refresh_hot(result.merged, ports)
    _measure(result.merged, ports)
    return Synced(
        result.merged,
        {**result.failed, **_unread(batch)},
        _quarantined(admitted, batch, ports),
    )


def refresh_hot(merged: Mapping[str, Merged], ports: Ports) -> None:
    """Refresh what Redis holds of those who were seen lately, and have made anew what follows.

    What it does not take is not sent again: its copies expire within minutes.
    """
    if not merged:
        return
    try:
        seen = ports.hot_users.seen(list(merged))
        if seen:
            ports.hot_users.put_features([merged[user_id].features for user_id in seen])
        soon = ports.clock() + recommendations.declared().debounce_seconds
        ports.recommendations.mark(_concerned(merged, seen), soon)
    except Transient:
        ports.metrics.count("cache_write_failures_total")


def _concerned(merged: Mapping[str, Merged], seen: Collection[str]) -> Sequence[str]:
    """Whose recommendation is out of date: also of who has gone, where something was deleted."""
    return [
        user_id
        for user_id, it in merged.items()
        if Written.APPLIED in it.written.values()
        and (user_id in seen or any(one.is_deleted for one in it.features.groups.values()))
    ]


def measure_lag(newest: Mapping[str, float], ports: Ports) -> None:
    """Show how old the newest value of each group is."""
    now = ports.clock()
    for group, event_time in newest.items():
        ports.metrics.set("feature_lag_seconds", max(0.0, now - event_time), group=group)


def _measure(merged: Mapping[str, Merged], ports: Ports) -> None:
    counts: Counter[tuple[str, Written]] = Counter()
    newest: dict[str, float] = {}
    for each in merged.values():
        counts.update(each.written.items())
        for group, written in each.written.items():
            if written is Written.APPLIED:
                at = each.features.groups[group].event_time
                newest[group] = max(at, newest.get(group, at))
    for (group, written), records in counts.items():
        outcome = written.name.lower()
        ports.metrics.count("feature_records_total", records, group=group, outcome=outcome)
    measure_lag(newest, ports)


def _unread(batch: FeatureBatch) -> Mapping[str, Transient]:
    return {user_id: Transient(reason) for user_id, reason in batch.unread.items()}


def _quarantined(
    admitted: Mapping[str, Admitted], batch: FeatureBatch, ports: Ports
) -> Mapping[str, Permanent]:
    """Why each user's job is parked, where one of the user's records was kept back."""
    reasons: dict[str, Permanent] = {}
    for user_id, groups in batch.unusable.items():
        for group in groups:
            ports.metrics.count("features_quarantined_total", group=group, reason="malformed")
            reasons[user_id] = Permanent(f"the event time of {group} is none")
    for user_id, it in admitted.items():
        for group, record in it.ahead.items():
            ports.metrics.count("features_quarantined_total", group=group, reason="future")
            ahead = record.event_time - ports.clock()
            reasons[user_id] = Permanent(f"the event time of {group} lies {ahead:.0f} s ahead")
    return reasons
