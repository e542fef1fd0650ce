"""What becomes of records on their way into a user's features. Pure: it is told the time."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.features import GroupRecord, UserFeatures
from domain.ports import Written


@dataclass(frozen=True, slots=True)
class Admitted:
    """The records that may be merged, and those of a clock that is wrong, by group."""

    records: Mapping[str, GroupRecord]
    ahead: Mapping[str, GroupRecord]


def admit(records: Mapping[str, GroupRecord], now: float) -> Admitted:
    """Keep records back whose event time lies too far ahead: nothing true could follow them."""
    ahead = {name: record for name, record in records.items() if record.is_ahead(now)}
    return Admitted({name: it for name, it in records.items() if name not in ahead}, ahead)


def outcomes(before: UserFeatures, records: Mapping[str, GroupRecord]) -> Mapping[str, Written]:
    """What becomes of each record that is merged into these features."""
    newer = before.newer(records)
    return {
        name: Written.APPLIED if name in newer else _not_applied(before.groups[name], record)
        for name, record in records.items()
    }


def _not_applied(standing: GroupRecord, record: GroupRecord) -> Written:
    return Written.SUPERSEDED if standing.supersedes(record) else Written.ALREADY_APPLIED
