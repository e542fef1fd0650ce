"""What is known of a user: one record for each feature group, merged by event time.

Groups are independent of each other. Of two records of a group the one with the later event time
stands; of two with the same, the one whose content has the larger digest, so that every order of
arrival ends alike. A deleted record stays as a tombstone: an older one must not come back.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from domain.errors import Malformed

FUTURE_SECONDS = 300.0
"""An event time further ahead is one of a wrong clock: it would block its key for good."""

_ISO_8601 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z")
_EPOCH = re.compile(r"\d{1,12}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """One feature group's record of a user; times are epoch seconds.

    `values` are as the Feature Store gives them, text by feature name, without the record's
    identifier and its event time.
    """

    event_time: float
    values: Mapping[str, str] = field(default_factory=dict)
    expires_at: float | None = None
    is_deleted: bool = False

    def is_live(self, now: float) -> bool:
        """Whether it may be read: neither deleted nor past its time to live."""
        return not self.is_deleted and (self.expires_at is None or self.expires_at > now)

    def supersedes(self, other: "GroupRecord") -> bool:
        """Whether it stands where both were written, in whatever order."""
        if self.event_time != other.event_time:
            return self.event_time > other.event_time
        return self != other and self.digest() > other.digest()

    def digest(self) -> str:
        """A hash of the content, which decides between records of one event time."""
        content = [sorted(self.values.items()), self.expires_at, self.is_deleted]
        return sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def is_ahead(self, now: float) -> bool:
        """Whether its event time can only be that of a wrong clock."""
        return self.event_time > now + FUTURE_SECONDS


@dataclass(frozen=True, slots=True)
class UserFeatures:
    """The merged records of one user, by feature group."""

    user_id: str
    groups: Mapping[str, GroupRecord] = field(default_factory=dict)

    def merged(self, groups: Mapping[str, GroupRecord]) -> "UserFeatures":
        """With these records too; a group that is not among them keeps what it has."""
        return UserFeatures(self.user_id, {**self.groups, **self.newer(groups)})

    def newer(self, groups: Mapping[str, GroupRecord]) -> Mapping[str, GroupRecord]:
        """Those of these records that would stand if they were merged."""
        return {
            name: record
            for name, record in groups.items()
            if name not in self.groups or record.supersedes(self.groups[name])
        }

    @property
    def expires_at(self) -> float | None:
        """When the last of its records may be forgotten; None where one is kept for good."""
        times = [record.expires_at for record in self.groups.values()]
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) else None

    def live(self, now: float) -> Mapping[str, Mapping[str, str]]:
        """The values that may be read at `now`, by group."""
        return {name: it.values for name, it in self.groups.items() if it.is_live(now)}


def merge(user_id: str, writes: Iterable[Mapping[str, GroupRecord]]) -> UserFeatures:
    """What any order of these writes ends in."""
    features = UserFeatures(user_id)
    for groups in writes:
        features = features.merged(groups)
    return features


def tombstone(event_time: float, kept_seconds: float) -> GroupRecord:
    """What stands for a record that was deleted at this time, for as long as it has to."""
    return GroupRecord(event_time, expires_at=event_time + kept_seconds, is_deleted=True)


def tombstone_over(record: GroupRecord, kept_seconds: float) -> GroupRecord:
    """A tombstone for this record alone, where nobody knows when it was deleted.

    It stands over the record and over nothing that is newer by more than a number can tell.
    """
    return tombstone(math.nextafter(record.event_time, math.inf), kept_seconds)


def event_time_of(text: str) -> float:
    """Epoch seconds of an event time: ISO 8601 in UTC, or epoch seconds with or without a fraction.

    Raises Malformed for anything else.
    """
    if _EPOCH.fullmatch(text):
        return float(text)
    match = _ISO_8601.fullmatch(text)
    try:
        if match:
            whole = datetime.fromisoformat(f"{match[1]}+00:00").timestamp()
            return whole + float(match[2] or 0)
    except ValueError:
        pass  # a 13th month
    raise Malformed("an event time is neither ISO 8601 in UTC nor epoch seconds")


def iso_8601(event_time: float) -> str:
    """An event time to the millisecond, as the Feature Store takes it."""
    moment = datetime.fromtimestamp(event_time, UTC)
    precision = "seconds" if event_time == int(event_time) else "milliseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
