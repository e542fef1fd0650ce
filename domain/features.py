"""What is known of a user: one record for each feature group, merged by event time.

Groups are independent of each other. Of two records of a group the one with the later event time
stands; of two with the same, the one whose content has the larger digest, so that every order of
arrival ends alike. A deleted record stays as a tombstone: an older one must not come back.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

FUTURE_SECONDS = 300.0
"""An event time further ahead is one of a wrong clock: it would block its key for good."""


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
        return (self.event_time, self.digest()) > (other.event_time, other.digest())

    def digest(self) -> str:
        """A hash of the content, which decides between records of one event time."""
        content = [sorted(self.values.items()), self.expires_at, self.is_deleted]
        return sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class UserFeatures:
    """The merged records of one user, by feature group."""

    user_id: str
    groups: Mapping[str, GroupRecord] = field(default_factory=dict)

    def merged(self, groups: Mapping[str, GroupRecord]) -> "UserFeatures":
        """With these records too; a group that is not among them keeps what it has."""
        standing = dict(self.groups)
        for name, record in groups.items():
            if name not in standing or record.supersedes(standing[name]):
                standing[name] = record
        return UserFeatures(self.user_id, standing)

    def live(self, now: float) -> Mapping[str, Mapping[str, str]]:
        """The values that may be read at `now`, by group."""
        return {name: it.values for name, it in self.groups.items() if it.is_live(now)}


def merge(user_id: str, writes: Iterable[Mapping[str, GroupRecord]]) -> UserFeatures:
    """What any order of these writes ends in."""
    features = UserFeatures(user_id)
    for groups in writes:
        features = features.merged(groups)
    return features
