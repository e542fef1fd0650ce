"""The sync, the sweep and the check of features, each against the fakes of its ports."""

import msgspec
import pytest

from config.features import Features, declared
from domain.errors import PartlyFailed, Permanent, Transient
from domain.events import FeaturesChanged
from domain.features import FUTURE_SECONDS, GroupRecord, tombstone
from domain.jobs import CheckFeatures, SweepFeatures, SyncFeatures
from domain.reactions import react
from tasks.comparing import Skew, compare
from tasks.features import STALE_SECONDS, check_features, sweep_features, sync_features
from tasks.interactions import count_interactions
from tasks.sessions import update_sessions
from tasks.sweeping import BOOKMARK, Sweep, forget
from tests.fakes import NOW, World
from tests.samples import DAY, RULE, interaction, session_update

PROFILE, ACTIVITY = "user-profile", "user-activity"
LONG_AGO = NOW - DAY


@pytest.fixture
def world() -> World:
    return World(RULE)


def job(user_id: str, event_id: str = "", **others: object) -> SyncFeatures:
    return SyncFeatures(
        event_id=event_id or f"event-{user_id}",
        producer="test",
        seq=0,
        occurred_at=NOW,
        user_id=user_id,
        **others,  # type: ignore[arg-type]
    )


def sweep_job(tick: int | None = None) -> SweepFeatures:
    return SweepFeatures(event_id="sweep", producer="beat", seq=0, occurred_at=NOW, tick=tick)


def check_job(tick: int | None = None) -> CheckFeatures:
    return CheckFeatures(event_id="check", producer="beat", seq=0, occurred_at=NOW, tick=tick)


def live(world: World, user_id: str) -> dict[str, dict[str, str]]:
    found = world.users.get(user_id)
    assert found is not None
    return {group: dict(values) for group, values in found.live(NOW).items()}


def test_a_change_in_the_store_becomes_a_job() -> None:
    event = FeaturesChanged(
        event_id="e", producer="p", seq=1, occurred_at=NOW, user_id="ann", group=PROFILE
    )
    [made] = react(event)
    assert isinstance(made, SyncFeatures)
    assert (made.user_id, made.group, made.deleted_at) == ("ann", PROFILE, None)


def test_groups_of_a_user_are_merged_with_one_read(world: World) -> None:
    world.features.put("ann", PROFILE, GroupRecord(NOW, {"locale": "ja"}))
    world.features.put("ann", ACTIVITY, GroupRecord(NOW - 9, {"views_7d": "3"}))
    sync_features([job("ann", "e1"), job("ann", "e2"), job("bob")], world.ports)
    assert live(world, "ann") == {PROFILE: {"locale": "ja"}, ACTIVITY: {"views_7d": "3"}}
    assert world.features.reads == [(("ann", "bob"), (PROFILE, ACTIVITY))]
    assert world.metrics.counted["feature_records_total", PROFILE, "applied"] == 1
    assert world.metrics.gauges["feature_lag_seconds", ACTIVITY] == 9


def test_what_the_store_does_not_have_erases_nothing(world: World) -> None:
    world.users.merge("ann", {PROFILE: GroupRecord(NOW, {"locale": "ja"})})
    sync_features([job("ann")], world.ports)
    assert live(world, "ann") == {PROFILE: {"locale": "ja"}}


def test_a_deletion_that_is_told_erases_its_group_alone(world: World) -> None:
    world.users.merge("ann", {PROFILE: GroupRecord(NOW - 9, {"locale": "ja"})})
    world.features.put("ann", ACTIVITY, GroupRecord(NOW, {"views_7d": "3"}))
    sync_features([job("ann", group=PROFILE, deleted_at=NOW - 5)], world.ports)
    assert live(world, "ann") == {ACTIVITY: {"views_7d": "3"}}


def test_a_deletion_that_comes_late_does_not_erase_what_was_written_after_it(world: World) -> None:
    world.features.put("ann", PROFILE, GroupRecord(NOW, {"locale": "en"}))
    sync_features([job("ann", group=PROFILE, deleted_at=NOW - 5)], world.ports)
    assert live(world, "ann") == {PROFILE: {"locale": "en"}}


def test_the_latest_of_several_deletions_stands(world: World) -> None:
    times = (NOW - 5, NOW - 3, NOW - 4)
    jobs = [job("ann", f"e{at}", group=PROFILE, deleted_at=at) for at in times]
    sync_features(jobs, world.ports)
    found = world.users.get("ann")
    assert found is not None
    assert found.groups[PROFILE].event_time == NOW - 3


def test_only_the_jobs_of_users_that_failed_come_again(world: World) -> None:
    for user_id in ("ann", "bob", "eve"):
        world.features.put(user_id, PROFILE, GroupRecord(NOW))
    world.features.silent["bob"] = "unprocessed"
    world.users.failing["eve"] = Permanent("too large")
    with pytest.raises(PartlyFailed) as caught:
        sync_features([job("ann"), job("bob"), job("eve"), job("bob", "e2")], world.ports)
    reasons = caught.value.reasons
    assert reasons.keys() == {"event-bob", "e2", "event-eve"}
    assert isinstance(reasons["event-bob"], Transient)
    assert isinstance(reasons["event-eve"], Permanent)
    assert world.users.get("ann") is not None


def test_an_event_time_in_the_future_is_kept_back_and_its_job_parked(world: World) -> None:
    ahead = NOW + FUTURE_SECONDS + 60
    world.features.put("ann", PROFILE, GroupRecord(ahead, {"locale": "xx"}))
    world.features.put("ann", ACTIVITY, GroupRecord(NOW, {"views_7d": "3"}))
    with pytest.raises(PartlyFailed) as caught:
        sync_features([job("ann")], world.ports)
    assert caught.value.permanent
    assert "lies 360 s ahead" in str(caught.value)
    assert live(world, "ann") == {ACTIVITY: {"views_7d": "3"}}
    assert world.metrics.counted["features_quarantined_total", PROFILE, "future"] == 1
    world.clock.now += 120
    sync_features([job("ann")], world.ports)
    assert live(world, "ann")[PROFILE] == {"locale": "xx"}


def test_an_event_time_that_is_none_is_told(world: World) -> None:
    world.features.unusable["ann"] = {PROFILE}
    with pytest.raises(PartlyFailed) as caught:
        sync_features([job("ann")], world.ports)
    assert caught.value.permanent
    assert world.metrics.counted["features_quarantined_total", PROFILE, "malformed"] == 1


@pytest.mark.parametrize(
    "wrong",
    [job(""), job("ann", group="strangers"), job("ann", deleted_at=NOW)],
)
def test_a_job_that_can_never_be_done_is_parked_alone(world: World, wrong: SyncFeatures) -> None:
    world.features.put("bob", PROFILE, GroupRecord(NOW))
    with pytest.raises(PartlyFailed) as caught:
        sync_features([wrong, job("bob")], world.ports)
    assert caught.value.permanent
    assert caught.value.reasons.keys() == {wrong.event_id}
    assert world.users.get("bob") is not None


def test_users_seen_lately_have_their_copies_refreshed(world: World) -> None:
    count_interactions([interaction("1", user_id="ann")], world.ports)
    update_sessions([session_update("e1", "s", "bob")], world.ports)
    for user_id in ("ann", "bob", "eve"):
        world.features.put(user_id, PROFILE, GroupRecord(NOW, {"locale": "ja"}))
    sync_features([job("ann"), job("bob"), job("eve")], world.ports)
    assert world.hot_users.features.keys() == {"ann", "bob"}
    assert world.hot_users.features["ann"] == world.users.get("ann")
    assert world.hot_users.recent("ann") == ["1"]


def test_a_copy_that_redis_does_not_take_costs_no_sync(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise Transient("down", dependency="redis")

    world.features.put("ann", PROFILE, GroupRecord(NOW))
    monkeypatch.setattr(world.hot_users, "seen", refuse)
    sync_features([job("ann")], world.ports)
    assert world.users.get("ann") is not None
    assert world.metrics.counted["cache_write_failures_total",] == 1


def everybody(world: World, users: int) -> None:
    for at in range(users):
        world.features.put(f"user-{at:02}", PROFILE, GroupRecord(LONG_AGO, {"locale": "ja"}))
        world.features.put(f"user-{at:02}", ACTIVITY, GroupRecord(LONG_AGO, {"views_7d": "1"}))


def table(**sync: int) -> Features:
    shipped = declared()
    return msgspec.structs.replace(shipped, sync=msgspec.structs.replace(shipped.sync, **sync))


def test_a_sweep_syncs_everybody(world: World) -> None:
    everybody(world, 10)
    sweep_features([sweep_job()], world.ports)
    assert len(world.users.users) == 10
    assert live(world, "user-09") == {PROFILE: {"locale": "ja"}, ACTIVITY: {"views_7d": "1"}}
    assert world.bookmarks.get(BOOKMARK) is None
    assert world.metrics.gauges["feature_sweep_finished_seconds",] == NOW


def test_the_next_sweep_begins_after_a_pause(world: World) -> None:
    everybody(world, 2)
    sweep_features([sweep_job()], world.ports)
    reads = len(world.features.reads)
    sweep_features([sweep_job()], world.ports)
    assert len(world.features.reads) == reads
    world.clock.now += declared().sync.pause_seconds
    sweep_features([sweep_job()], world.ports)
    assert len(world.features.reads) == 2 * reads


@pytest.mark.parametrize("is_under_way", [False, True])
def test_a_table_that_is_new_is_filled_without_a_pause(world: World, is_under_way: bool) -> None:
    everybody(world, 6)
    sweep_features([sweep_job()], world.ports)
    if is_under_way:
        next(Sweep(world.ports, table(page_users=3), world.bookmarks).steps())
    world.users.users.clear()
    forget(world.bookmarks)
    sweep_features([sweep_job()], world.ports)
    assert len(world.users.users) == 6


def test_a_sweep_that_is_stopped_goes_on_where_it_was(world: World) -> None:
    everybody(world, 10)
    first = next(Sweep(world.ports, table(page_users=3), world.bookmarks).steps())
    assert first.user_ids == ["user-00", "user-01", "user-02"]
    again = Sweep(world.ports, table(page_users=3), world.bookmarks)
    assert again.place().users == 3
    second = next(again.steps())
    assert second.user_ids == ["user-03", "user-04", "user-05"]


def test_a_sweep_ends_its_turn_in_time_and_the_next_one_finishes(world: World) -> None:
    everybody(world, 4)
    world.features.page_ids = 1

    class Hurrying(type(world.clock)):  # type: ignore[misc]
        def __call__(self) -> float:
            self.now += 3.0
            return float(self.now)

    hurried = World(RULE, features=world.features, clock=Hurrying())
    for _ in range(20):
        sweep_features([sweep_job()], hurried.ports)
        if hurried.bookmarks.get(BOOKMARK) is None:
            break
    assert len(hurried.users.users) == 4


def test_known_users_are_swept_where_the_store_lists_nothing(world: World) -> None:
    everybody(world, 3)
    world.users.merge("user-01", {PROFILE: GroupRecord(LONG_AGO - 9, {"locale": "en"})})
    shipped = table()
    groups = {
        name: msgspec.structs.replace(group, storage="Standard")
        for name, group in shipped.groups.items()
    }
    unlisted = msgspec.structs.replace(shipped, groups=groups)
    steps = list(Sweep(world.ports, unlisted, world.bookmarks).steps())
    assert [step.user_ids for step in steps] == [["user-01"], ["user-01"]]
    assert live(world, "user-01") == {PROFILE: {"locale": "ja"}, ACTIVITY: {"views_7d": "1"}}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"group": "gone"}', '{"group": "x", "y": 1}'])
def test_a_bookmark_that_means_nothing_begins_again(world: World, text: str) -> None:
    everybody(world, 1)
    world.bookmarks.put(BOOKMARK, text)
    assert Sweep(world.ports, declared(), world.bookmarks).place().group == PROFILE
    sweep_features([sweep_job()], world.ports)
    assert len(world.users.users) == 1


def test_a_user_that_fails_does_not_stop_the_sweep(world: World) -> None:
    everybody(world, 3)
    world.features.silent["user-01"] = "unprocessed"
    sweep_features([sweep_job()], world.ports)
    assert world.users.users.keys() == {"user-00", "user-02"}
    assert world.metrics.counted["feature_users_failed_total", "transient"] == 2


def test_a_store_that_is_down_leaves_the_bookmark(world: World) -> None:
    everybody(world, 5)
    next(Sweep(world.ports, table(page_users=3), world.bookmarks).steps())
    before = world.bookmarks.get(BOOKMARK)
    world.features.fail = Transient("down", dependency="feature-store")
    with pytest.raises(Transient):
        sweep_features([sweep_job()], world.ports)
    assert world.bookmarks.get(BOOKMARK) == before


@pytest.mark.parametrize("kind", ["sweep", "check"])
def test_a_tick_that_comes_much_too_late_does_nothing(world: World, kind: str) -> None:
    everybody(world, 1)
    late = int(NOW - STALE_SECONDS - 1)
    if kind == "sweep":
        sweep_features([sweep_job(late)], world.ports)
    else:
        check_features([check_job(late)], world.ports)
    assert not world.features.reads
    assert world.metrics.counted["duplicates_total", f"features.{kind}"] == 1


def synced(world: World, users: int) -> None:
    everybody(world, users)
    sweep_features([sweep_job()], world.ports)


def test_what_is_in_step_is_no_skew(world: World) -> None:
    synced(world, 5)
    found = compare(world.ports, declared())
    assert (found.users, found.records, found.skew, found.repaired) == (5, 10, {}, 0)


def test_what_is_behind_is_repaired_and_counted(world: World) -> None:
    synced(world, 5)
    world.features.put("user-01", PROFILE, GroupRecord(LONG_AGO + 5, {"locale": "en"}))
    world.hot_users.note_seen(["user-01"])
    check_features([check_job()], world.ports)
    assert live(world, "user-01")[PROFILE] == {"locale": "en"}
    assert world.hot_users.features["user-01"] == world.users.get("user-01")
    assert world.metrics.counted["feature_skew_total", PROFILE, "behind"] == 1


def test_what_is_on_its_way_is_merged_and_not_counted(world: World) -> None:
    synced(world, 2)
    world.features.put("user-01", PROFILE, GroupRecord(NOW - 1, {"locale": "en"}))
    found = compare(world.ports, declared())
    assert not found.skew
    assert live(world, "user-01")[PROFILE] == {"locale": "en"}


def test_what_the_store_no_longer_has_is_erased(world: World) -> None:
    synced(world, 5)
    world.features.delete("user-01", PROFILE)
    found = compare(world.ports, declared())
    assert found.skew == {(PROFILE, Skew.GONE): 1}
    assert live(world, "user-01") == {ACTIVITY: {"views_7d": "1"}}
    assert compare(world.ports, declared()).skew == {}
    world.features.put("user-01", PROFILE, GroupRecord(LONG_AGO + 0.001, {"locale": "fr"}))
    world.clock.now += declared().sync.pause_seconds
    sweep_features([sweep_job()], world.ports)
    assert live(world, "user-01")[PROFILE] == {"locale": "fr"}


def test_a_store_that_lost_much_has_nothing_erased(world: World) -> None:
    synced(world, 20)
    for at in range(15):
        world.features.delete(f"user-{at:02}", PROFILE)
    found = compare(world.ports, declared())
    assert (found.held, found.repaired) == (15, 0)
    assert live(world, "user-00")[PROFILE] == {"locale": "ja"}
    assert world.metrics.counted["feature_skew_total", PROFILE, "gone"] == 15


def test_who_is_not_answered_is_not_taken_for_gone(world: World) -> None:
    synced(world, 3)
    world.features.silent["user-01"] = "unprocessed"
    found = compare(world.ports, declared())
    assert (found.unread, found.skew) == (1, {})


def test_a_record_at_the_end_of_its_time_to_live_is_not_compared(world: World) -> None:
    ending = GroupRecord(LONG_AGO, {}, expires_at=NOW + 1)
    world.users.merge("ann", {ACTIVITY: ending})
    assert not compare(world.ports, declared()).skew


def test_a_store_that_went_back_is_reported_and_changes_nothing(world: World) -> None:
    synced(world, 3)
    before = dict(world.users.users)
    world.features.put("user-01", PROFILE, GroupRecord(LONG_AGO - 60, {"locale": "old"}))
    world.features.put("user-02", PROFILE, GroupRecord(LONG_AGO, {}))
    found = compare(world.ports, declared())
    kinds = {skew for _, skew in found.skew}
    assert Skew.AHEAD in kinds
    assert found.skew.total() - found.repaired >= 1
    assert world.users.users["user-01"] == before["user-01"]


def test_a_tombstone_that_the_store_knows_nothing_of_is_in_step(world: World) -> None:
    world.users.merge("ann", {PROFILE: tombstone(LONG_AGO, 90 * DAY)})
    assert not compare(world.ports, declared()).skew


def test_the_sample_wraps_around(world: World) -> None:
    synced(world, 5)
    found = compare(world.ports, declared(), after="zzz")
    assert found.users == 5
