"""What the workers do for recommendations, on fakes."""

import json

import pytest

from config import recommendations
from domain.catalogue import Catalogue
from domain.errors import Permanent, Transient
from domain.features import GroupRecord, UserFeatures, tombstone
from domain.jobs import PrecomputeRecommendations, RefreshRecommendation, WriteRecommendation
from domain.personal_answers import unpack
from domain.recommendations import Recommended
from tasks.interactions import count_interactions
from tasks.recommendations import (
    STALE_SECONDS,
    precompute_recommendations,
    refresh_recommendation,
    write_recommendation,
)
from tasks.syncing import refresh_hot
from tests.fakes import NOW, World
from tests.samples import RULE, interaction, title

TABLE = recommendations.declared()


@pytest.fixture
def world() -> World:
    made = World(RULE)
    titles = [title(name, 10) for name in ("a", "b", "c")]
    made.catalogue.publish(Catalogue([*titles, title("adult", adult=True)]))
    made.recommender.items = [Recommended(name, 1.0) for name in ("adult", "a", "b", "unknown")]
    return made


def tick(world: World, seconds: float = TABLE.debounce_seconds) -> None:
    world.clock.now += seconds
    job = PrecomputeRecommendations(
        event_id="e", producer="p", seq=0, occurred_at=world.clock.now, tick=int(world.clock.now)
    )
    precompute_recommendations([job], world.ports)


def shown(world: World, user_id: str = "ann") -> list[str]:
    stored = world.recommendations.stored[user_id].pack()
    answer = json.loads(unpack(stored, user_id, "en").body + b"}")["answer"]
    return [item["id"] for item in answer["items"]]


def outcomes(world: World) -> dict[str, int]:
    return {
        key[1]: count
        for key, count in world.metrics.counted.items()
        if key[0] == "recommendations_total"
    }


def test_what_a_user_did_leads_to_a_recommendation_without_it(world: World) -> None:
    count_interactions([interaction("a", user_id="ann")], world.ports)
    tick(world)
    assert world.recommender.asked[0].recent == ["a"]
    assert shown(world) == ["b", "c"], "filled up, but not with what is known"


def test_many_interactions_lead_to_one_recommendation(world: World) -> None:
    for number in range(20):
        count_interactions([interaction("a", NOW + number, user_id="ann")], world.ports)
    tick(world)
    tick(world)
    assert len(world.recommender.asked) == 1


def test_what_nobody_did_leads_to_none(world: World) -> None:
    count_interactions([interaction("a")], world.ports)
    tick(world)
    assert not world.recommender.asked


def test_features_alone_are_enough(world: World) -> None:
    genres = {"favourite_genres": "Action", "locale": "ja"}
    world.users.users["ann"] = UserFeatures("ann", {"user-profile": GroupRecord(NOW, genres)})
    world.recommendations.mark({"ann"}, NOW)
    tick(world)
    assert world.recommender.asked[0].features == {"user-profile": {"favourite_genres": "Action"}}
    assert shown(world) == ["a", "b", "c"]


def test_whoever_is_here_gets_a_new_one_before_the_old_is_stale(world: World) -> None:
    count_interactions([interaction("a", user_id="ann")], world.ports)
    tick(world)
    first = world.recommendations.stored["ann"]
    at = world.recommendations.due["ann"]
    assert first.generated_at < at < first.soft_expires_at
    tick(world, at - world.clock.now)
    assert world.recommendations.stored["ann"].version > first.version


def test_whoever_has_gone_gets_no_more(world: World) -> None:
    genres = {"favourite_genres": "Action"}
    world.users.users["ann"] = UserFeatures("ann", {"user-profile": GroupRecord(NOW, genres)})
    world.recommendations.mark({"ann"}, NOW)
    tick(world)
    assert "ann" in world.recommendations.stored
    assert not world.recommendations.due


@pytest.mark.parametrize("error", [Transient("down", dependency="sagemaker"), Permanent("no")])
def test_without_the_model_the_job_is_done_and_the_user_stays_due(
    world: World, error: Transient | Permanent
) -> None:
    count_interactions([interaction("a", user_id="ann")], world.ports)
    world.recommender.fail = error
    tick(world)
    assert outcomes(world) == {"failed": 1}
    world.recommender.fail = None
    tick(world)
    assert not world.recommendations.stored, "not before the lease is over"
    tick(world, TABLE.lease_seconds)
    assert shown(world) == ["b", "c"]


def test_of_whom_nothing_is_known_is_not_asked(world: World) -> None:
    world.recommendations.mark({"ann"}, NOW)
    tick(world)
    assert (world.recommender.asked, outcomes(world)) == ([], {"unknown": 1})
    assert not world.recommendations.due


def test_of_whom_nothing_is_known_any_more_nothing_is_kept(world: World) -> None:
    genres = {"favourite_genres": "Action"}
    world.users.users["ann"] = UserFeatures("ann", {"user-profile": GroupRecord(NOW, genres)})
    world.recommendations.mark({"ann"}, NOW)
    tick(world)
    assert "ann" in world.recommendations.stored
    del world.users.users["ann"]
    world.recommendations.mark({"ann"}, world.clock.now)
    tick(world)
    assert "ann" not in world.recommendations.stored


def test_titles_that_may_not_be_shown_make_no_recommendation(world: World) -> None:
    world.recommender.items = [Recommended("adult", 1.0), Recommended("unknown", 1.0)]
    count_interactions([interaction("a", user_id="ann")], world.ports)
    tick(world)
    assert (world.recommendations.stored, outcomes(world)) == ({}, {"unfit": 1})


def test_a_run_takes_no_more_users_than_it_may(world: World) -> None:
    users = {f"user-{number}" for number in range(TABLE.users_per_run + 9)}
    world.recommendations.mark(users, NOW)
    tick(world)
    assert outcomes(world) == {"unknown": TABLE.users_per_run}
    assert world.metrics.gauges["recommendations_due",] == 9


def test_a_tick_that_comes_much_too_late_is_left(world: World) -> None:
    world.recommendations.mark({"ann"}, NOW)
    world.clock.now += STALE_SECONDS + 1
    job = PrecomputeRecommendations(
        event_id="e", producer="p", seq=0, occurred_at=NOW, tick=int(NOW)
    )
    precompute_recommendations([job], world.ports)
    assert not outcomes(world)


def written(items: tuple[tuple[str, float], ...], at: float = NOW) -> WriteRecommendation:
    return WriteRecommendation(
        event_id="e", producer="p", seq=0, occurred_at=at, user_id="ann", items=items
    )


def test_what_the_request_path_computed_is_written_without_asking_the_model(world: World) -> None:
    write_recommendation([written((("a", 1.0), ("adult", 0.9), ("b", 0.5)))], world.ports)
    assert (shown(world), world.recommender.asked) == (["a", "b", "c"], [])
    assert world.recommendations.stored["ann"].generated_at == NOW
    assert world.recommendations.due["ann"] > NOW


def test_what_was_computed_of_older_knowledge_replaces_nothing(world: World) -> None:
    write_recommendation([written((("a", 1.0),))], world.ports)
    write_recommendation([written((("b", 1.0),), NOW - 1)], world.ports)
    assert shown(world) == ["a", "b", "c"]
    assert outcomes(world) == {"made": 1, "superseded": 1}


def test_what_comes_when_it_would_be_stale_is_not_written(world: World) -> None:
    world.clock.now = NOW + 901
    write_recommendation([written((("a", 1.0),))], world.ports)
    assert not world.recommendations.stored
    assert world.metrics.counted["superseded_total", "recommendation.write"] == 1


def test_a_write_that_fails_is_counted_and_not_repeated(world: World) -> None:
    world.recommendations.fail = Transient("no Redis")
    write_recommendation([written((("a", 1.0),))], world.ports)
    assert world.metrics.counted["cache_write_failures_total",] == 1


def test_a_refresh_makes_a_user_due(world: World) -> None:
    job = RefreshRecommendation(event_id="e", producer="p", seq=0, occurred_at=NOW, user_id="ann")
    refresh_recommendation([job, job], world.ports)
    assert list(world.recommendations.due) == ["ann"]


def test_features_that_change_have_the_recommendation_made_anew(world: World) -> None:
    world.hot_users.note_seen(["ann"])
    record = GroupRecord(NOW, {"favourite_genres": "Action"})
    for user_id in ("ann", "gone"):
        merged = world.users.merge_all({user_id: {"user-profile": record}}).merged
        refresh_hot(merged, world.ports)
    assert list(world.recommendations.due) == ["ann"]
    again = world.users.merge_all({"ann": {"user-profile": record}}).merged
    world.recommendations.due.clear()
    refresh_hot(again, world.ports)
    assert not world.recommendations.due, "nothing has changed"


def test_what_is_deleted_of_somebody_who_has_gone_is_forgotten_too(world: World) -> None:
    record = GroupRecord(NOW, {"favourite_genres": "Action"})
    world.users.merge("gone", {"user-profile": record})
    world.recommendations.mark({"gone"}, NOW)
    tick(world)
    assert "gone" in world.recommendations.stored
    deleted = {"gone": {"user-profile": tombstone(NOW + 1, 3600.0)}}
    refresh_hot(world.users.merge_all(deleted).merged, world.ports)
    tick(world)
    assert "gone" not in world.recommendations.stored
