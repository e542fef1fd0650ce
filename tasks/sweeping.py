"""Syncs everybody, group by group, from a bookmark that is moved on after every step.

Whoever has a record is listed by the store where it can, else taken from those already known. A run
that was killed repeats one step; a bookmark that is lost begins the sweep again.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from config.features import Features
from domain.errors import MangaAssistError, Permanent, Transient
from domain.ports import Bookmarks, IdPage, Ports
from tasks.syncing import Synced, sync

BOOKMARK = "features.sweep"
SWEPT = "features.swept"
"""The bookmark that holds when the last sweep ended."""


def forget(bookmarks: Bookmarks) -> None:
    """Have everybody swept at once: what was merged of them is gone."""
    for name in (BOOKMARK, SWEPT):
        bookmarks.remove(name)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sweep has got to: the next users of a group, and how many came before."""

    group: str
    after: str | None = None
    users: int = 0

    def text(self) -> str:
        """As a bookmark holds it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Step:
    """One step that is done; `place` is where the next one begins, None where this was the last."""

    group: str
    user_ids: Sequence[str]
    synced: Synced
    place: Place | None


class Sweep:
    """One sweep, as far as its bookmark says."""

    def __init__(
        self, ports: Ports, table: Features, bookmarks: Bookmarks, name: str = BOOKMARK
    ) -> None:
        self._ports = ports
        self._table = table
        self._bookmarks = bookmarks
        self._name = name

    @property
    def is_under_way(self) -> bool:
        """Whether it was begun and is not done."""
        return self._bookmarks.get(self._name) is not None

    def place(self) -> Place:
        """Where it will go on; a bookmark that means nothing begins again."""
        first = Place(next(iter(self._table.groups)))
        text = self._bookmarks.get(self._name)
        if text is None:
            return first
        try:
            place = Place(**json.loads(text))
        except (ValueError, TypeError):
            return first
        return place if place.group in self._table.groups else first

    def steps(self) -> Iterator[Step]:
        """Do the steps that are left; each is remembered before it is told."""
        place: Place | None = self.place()
        while place is not None:
            page = self._page(place)
            synced = sync(page.user_ids, self._groups_from(place.group), self._ports)
            self._count_failed(synced.failed.values())
            users = place.users + len(page.user_ids)
            following = self._following(place.group, page.after, users)
            self._remember(following)
            yield Step(place.group, page.user_ids, synced, following)
            place = following

    def _groups_from(self, group: str) -> Sequence[str]:
        """What is read of those listed in a group: the groups before it were read with them.

        So a user in all groups is written once, and one who is in the last alone is still met.
        """
        groups = list(self._table.groups)
        return groups[groups.index(group) :]

    def _following(self, group: str, after: str | None, users: int) -> Place | None:
        if after is not None:
            return Place(group, after, users)
        groups = list(self._table.groups)
        at = groups.index(group) + 1
        return Place(groups[at], None, users) if at < len(groups) else None

    def _remember(self, place: Place | None) -> None:
        if place is not None:
            self._bookmarks.put(self._name, place.text())
            return
        self._bookmarks.remove(self._name)
        self._ports.metrics.set("feature_sweep_finished_seconds", self._ports.clock())

    def _page(self, place: Place) -> IdPage:
        """The users of a step: several pages of the store, one of the cache."""
        if not self._table.groups[place.group].is_listed:
            return self._ports.users.page(place.after, self._table.sync.page_users)
        user_ids: list[str] = []
        after = place.after
        while True:
            page = self._listed(place.group, after)
            user_ids += page.user_ids
            after = page.after
            if after is None or len(user_ids) >= self._table.sync.page_users:
                return IdPage(user_ids, after)

    def _listed(self, group: str, after: str | None) -> IdPage:
        try:
            return self._ports.features.page(group, after)
        except Permanent as error:
            if after is None:
                raise
            # The store's own token may be too old: the next run begins again.
            self._bookmarks.remove(self._name)
            raise Transient(f"the list of {group} cannot be continued: {error}") from error

    def _count_failed(self, errors: Iterable[MangaAssistError]) -> None:
        for error in errors:
            why = "permanent" if isinstance(error, Permanent) else "transient"
            self._ports.metrics.count("feature_users_failed_total", why=why)
