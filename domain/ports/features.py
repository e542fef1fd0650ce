"""Where features of users come from and are merged into."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from domain.errors import MangaAssistError
from domain.features import GroupRecord, UserFeatures
from domain.jobs import CountInteraction
from domain.ports.writing import Written


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """What a feature store answered, by user and group.

    `unread` are the users of whom something was not answered, each with the reason: ask again for
    those. `unusable` are the records without an event time that can be understood. A record that
    does not exist, or exists no longer, is in none of them.
    """

    records: Mapping[str, Mapping[str, GroupRecord]]
    unread: Mapping[str, str]
    unusable: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdPage:
    """Some user ids, and what to ask for the next ones with: None where these are the last."""

    user_ids: Sequence[str]
    after: str | None


class FeatureSource(Protocol):
    """The feature store that the features come from."""

    def read(self, user_ids: Sequence[str], groups: Sequence[str]) -> FeatureBatch:
        """The records of these users, of any number, within the store's quotas.

        Raises Transient where nothing was answered at all.
        """
        ...

    def page(self, group: str, after: str | None) -> IdPage:
        """Some of those who have a record in the group; Permanent where the store can't list it."""
        ...


@dataclass(frozen=True, slots=True)
class Merged:
    """A user's features after a write, and what became of each record that was to be written."""

    features: UserFeatures
    written: Mapping[str, Written]


@dataclass(frozen=True, slots=True)
class MergeBatch:
    """What became of each user's write; those that failed, each with the reason."""

    merged: Mapping[str, Merged]
    failed: Mapping[str, MangaAssistError]


class UserCache(Protocol):
    """The merged features of every user, durable; what the read path reads."""

    def merge(self, user_id: str, groups: Mapping[str, GroupRecord]) -> Mapping[str, Written]:
        """Write each group's record, unless a newer one is there; what became of each.

        Groups that are not named keep what they have.
        """
        ...

    def merge_all(self, records: Mapping[str, Mapping[str, GroupRecord]]) -> MergeBatch:
        """`merge` for many users at once, by user; one that fails does not cost the others."""
        ...

    def get(self, user_id: str) -> UserFeatures | None:
        """Everything that is known of a user; None where that is nothing."""
        ...

    def get_all(self, user_ids: Sequence[str]) -> Mapping[str, UserFeatures]:
        """`get` for many users, those of whom nothing is known being left out."""
        ...

    def page(self, after: str | None, limit: int) -> IdPage:
        """Some users who have features, in an order of the cache's own.

        `after` may be any id, also nobody's: a made-up one is a random place to begin.
        """
        ...


class HotUsers(Protocol):
    """What Redis holds of users who were seen lately; losing it costs a read elsewhere."""

    def put_features(self, users: Sequence[UserFeatures]) -> None:
        """Replace the copies of these users' features, but none by an older one."""
        ...

    def note(self, interactions: Sequence[CountInteraction]) -> None:
        """Remember what these users did, and that they were here."""
        ...

    def note_seen(self, user_ids: Iterable[str]) -> None:
        """Remember that these users were here."""
        ...

    def seen(self, user_ids: Sequence[str]) -> Sequence[str]:
        """Those of these users who were seen lately."""
        ...

    def recent(self, user_id: str) -> Sequence[str]:
        """The ids of the titles that the user did something with lately, newest first."""
        ...


class Bookmarks(Protocol):
    """Where long work has got to, by its name; losing one means to begin that work again."""

    def get(self, name: str) -> str | None:
        """Where it has got to; None where it has not begun."""
        ...

    def put(self, name: str, place: str) -> None:
        """Remember the place."""
        ...

    def remove(self, name: str) -> None:
        """Forget it: the work is done."""
        ...
