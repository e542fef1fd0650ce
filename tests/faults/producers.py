"""Who writes to the feature store, and says so in the outbox: `features.changed`.

Users first get records that are merged before anything is struck. Then each is changed in the ways
that the run is about, some users at a time, as far along as the customers are. The store itself is
never struck here: what it was told is what has to be merged.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from enum import StrEnum
from uuid import NAMESPACE_OID, uuid5

from adapters.event_jobs import EVENT
from adapters.msgpack_wire import encode_event
from domain.events import FeaturesChanged
from domain.features import iso_8601
from tests.faults.history import Changed, Record
from tests.faults.load import Load
from tests.faults.rig import Rig
from tests.faults.stores import Stores

PROFILE, ACTIVITY = "user-profile", "user-activity"
EVENTS_OF_A_USER = 17
"""So many events of customers come on each user whose records change."""
AT_ONCE = 10
VERSIONS = 3
AGO_SECONDS = 20
"""Too short a time ago for the check to look into."""
AHEAD_SECONDS = 7200
MERGE_SECONDS = 60.0
LOOK_SECONDS = 0.02


class Change(StrEnum):
    """What happens to a record that is merged already."""

    NEWER = "newer"
    """It is replaced, several times."""
    MISSING = "missing"
    """It is gone, and nobody says since when."""
    OLDER = "older"
    """An older one is in its place."""
    EQUAL = "equal"
    """Another one of the same time is in its place."""
    AHEAD = "ahead"
    """One of a wrong clock is in its place."""


class Producers:
    """Those of one run. Without ways of changing anything they do nothing."""

    def __init__(self, rig: Rig, stores: Stores, load: Load, ways: Sequence[Change]) -> None:
        self._rig, self._stores, self._load, self._ways = rig, stores, load, ways
        count = -(-load.amount.events // EVENTS_OF_A_USER) if ways else 0
        self._users = [f"{load.run}-user-{number}" for number in range(count)]
        self._began_at = int(time.time()) - AGO_SECONDS
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._live, name="producers")
        self._redis = rig.client()
        self.changed: list[Changed] = []

    def settle(self) -> None:
        """Give every user records, and wait until they are merged."""
        for user_id in self._users:
            self._write(user_id, PROFILE, self._profile(0, "first"))
            self._write(user_id, ACTIVITY, Record(float(self._began_at), {"views_7d": "7"}))
        wanted = {(user_id, group) for user_id in self._users for group in (PROFILE, ACTIVITY)}
        self._rig.until(
            lambda: self._stores.features(self._users).keys() >= wanted,
            MERGE_SECONDS,
            "features are not merged",
        )

    def start(self) -> None:
        """Begin to change them."""
        self._thread.start()

    def finished(self) -> bool:
        """Whether everything is changed and said."""
        if self._failure is not None:
            raise self._failure
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop."""
        self._abandoned.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._redis.close()

    def _live(self) -> None:
        try:
            steps = list(self._steps())
            for at, (user_id, way, version) in enumerate(steps):
                while self._load.share() < at / len(steps):
                    if self._abandoned.wait(LOOK_SECONDS):
                        return
                self._change(user_id, way, version)
        except BaseException as error:  # told to whoever waits
            self._failure = error

    def _steps(self) -> Iterator[tuple[str, Change, int]]:
        for first in range(0, len(self._users), AT_ONCE):
            for version in range(1, VERSIONS + 1):
                for at in range(first, min(first + AT_ONCE, len(self._users))):
                    way = self._ways[at % len(self._ways)]
                    if way is Change.NEWER or version == 1:
                        yield self._users[at], way, version

    def _change(self, user_id: str, way: Change, version: int) -> None:
        if way in {Change.MISSING, Change.OLDER, Change.EQUAL}:
            self._stores.remove_record(PROFILE, user_id, iso_8601(self._began_at + 1))
        match way:
            case Change.MISSING:
                self._say(user_id, PROFILE, None)
            case Change.NEWER:
                self._write(user_id, PROFILE, self._profile(version, f"version {version}"))
            case Change.OLDER:
                self._write(user_id, PROFILE, self._profile(-100, "older"))
            case Change.EQUAL:
                self._write(user_id, PROFILE, self._profile(0, "other"))
            case Change.AHEAD:
                ahead = self._profile(AHEAD_SECONDS, "of a wrong clock")
                self._write(user_id, PROFILE, ahead, is_ahead=True)

    def _profile(self, seconds: int, word: str) -> Record:
        return Record(float(self._began_at + seconds), {"locale": "ja", "favourite_genres": word})

    def _write(self, user_id: str, group: str, record: Record, *, is_ahead: bool = False) -> None:
        when = iso_8601(record.event_time)
        self._stores.put_record(group, {"user_id": user_id, "event_time": when, **record.values})
        self._say(user_id, group, record, is_ahead=is_ahead)

    def _say(
        self, user_id: str, group: str, record: Record | None, *, is_ahead: bool = False
    ) -> None:
        number = len(self.changed)
        event = FeaturesChanged(
            event_id=str(uuid5(NAMESPACE_OID, f"{self._load.run} change {number}")),
            occurred_at=time.time(),
            producer=self._load.run,
            seq=number,
            user_id=user_id,
            group=group,
        )
        self._redis.xadd("outbox:0", {EVENT: encode_event(event)})
        self.changed.append(Changed(event.event_id, user_id, group, record, is_ahead))
