"""Whatever happens on the way, the merged features end as the feature store has them.

A machine writes and deletes in a store, loses, repeats and delays the events of it, and lets jobs
fail; once everything has been tried again, the cache says what the store says.
"""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from config.features import declared
from domain.errors import PartlyFailed, Transient
from domain.features import GroupRecord
from domain.jobs import SweepFeatures, SyncFeatures
from tasks.comparing import compare
from tasks.features import sweep_features, sync_features
from tests.fakes import NOW, World
from tests.samples import DAY, RULE

USERS = st.sampled_from(["ann", "bob", "花"])
GROUPS = st.sampled_from(list(declared().groups))
BEGAN = NOW - DAY


class Convergence(RuleBasedStateMachine):
    """The store is the truth; its event times rise, as those of one writer do."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.world = World(RULE)
        self.made = 0
        self.newest: dict[tuple[str, str], float] = {}

    @rule(target=jobs, user=USERS, group=GROUPS, value=st.sampled_from(["1", "2"]))
    def write(self, user: str, group: str, value: str) -> SyncFeatures:
        record = GroupRecord(self._time(), {"v": value, "n": str(self.made)})
        self.world.features.put(user, group, record)
        return self._job(user, group, None)

    @rule(target=jobs, user=USERS, group=GROUPS)
    def delete(self, user: str, group: str) -> SyncFeatures:
        self.world.features.stored.get(user, {}).pop(group, None)
        return self._job(user, group, self._time())

    @rule(some=st.lists(jobs, max_size=4))
    def deliver(self, some: list[SyncFeatures]) -> None:
        """Also those that were delivered before; those that are never drawn are lost."""
        if some:
            sync_features(some, self.world.ports)

    @rule(some=st.lists(jobs, min_size=1, max_size=3), user=USERS)
    def deliver_badly(self, some: list[SyncFeatures], user: str) -> None:
        self.world.features.silent[user] = "unprocessed"
        self.world.users.failing["bob"] = Transient("throttled")
        with suppress(PartlyFailed):
            sync_features(some, self.world.ports)
        self.world.features.silent.clear()
        self.world.users.failing.clear()

    @rule()
    def restart(self) -> None:
        """What is in memory is lost: the bookmark, and copies in Redis."""
        self.world.bookmarks.places.clear()
        self.world.hot_users.features.clear()

    @invariant()
    def nothing_is_known_that_the_store_never_said(self) -> None:
        for features in self.world.users.users.values():
            for record in features.groups.values():
                assert BEGAN < record.event_time <= BEGAN + self.made + 1

    @invariant()
    def what_is_known_never_goes_back(self) -> None:
        for user, features in self.world.users.users.items():
            for group, record in features.groups.items():
                assert record.event_time >= self.newest.get((user, group), 0.0)
                self.newest[user, group] = record.event_time

    def teardown(self) -> None:
        sweep = SweepFeatures(event_id="s", producer="beat", seq=0, occurred_at=NOW)
        sweep_features([sweep], self.world.ports)
        compare(self.world.ports, declared())
        stored = {
            user: {group: dict(record.values) for group, record in groups.items()}
            for user, groups in self.world.features.stored.items()
            if groups
        }
        cached = {
            user: {group: dict(values) for group, values in features.live(NOW).items()}
            for user, features in self.world.users.users.items()
            if features.live(NOW)
        }
        assert cached == stored

    def _time(self) -> float:
        self.made += 1
        return BEGAN + self.made

    def _job(self, user: str, group: str, deleted_at: float | None) -> SyncFeatures:
        return SyncFeatures(
            event_id=f"event-{self.made}",
            producer="test",
            seq=self.made,
            occurred_at=NOW,
            user_id=user,
            group=group,
            deleted_at=deleted_at,
        )


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(max_examples=60, stateful_step_count=25)
