"""When a set of answers is computed, when not, and what is published."""

import pytest

from config import answers as declared_answers
from domain.answers import AnswerKey
from domain.catalogue import Catalogue
from domain.errors import PartlyFailed, Permanent, Transient
from domain.jobs import PrecomputeAnswers
from tasks.precompute import precompute_answers
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE, interaction, title

KIND = "trending"
KEY = AnswerKey(KIND, "", "ja")


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore(Catalogue([title(str(at), at) for at in range(20)])))


def job(
    kind: str = KIND, tick: int | None = None, stale: int | None = None, event_id: str = "e"
) -> PrecomputeAnswers:
    return PrecomputeAnswers(
        event_id=event_id,
        producer="test",
        seq=0,
        occurred_at=NOW,
        answer_kind=kind,
        tick=tick,
        stale_version=stale,
    )


def perform(world: World, *jobs: PrecomputeAnswers) -> list[tuple[int, int | None]]:
    """What has been published after these jobs: version and tick of each set."""
    precompute_answers(jobs, world.ports)
    return [(each.version, each.tick) for each in world.answers.publications]


VERSION = int(NOW * 1000)


def test_a_tick_publishes_the_set_with_the_declared_times(world: World) -> None:
    world.ports.counts.count([interaction("3")])
    assert perform(world, job(tick=5)) == [(VERSION, 5)]
    stored = world.answers.read(KEY)
    row = declared_answers.declared().kinds.trending
    assert stored is not None
    assert stored.generated_at == NOW
    assert stored.soft_expires_at == NOW + row.ttl_seconds
    assert stored.hard_expires_at == NOW + row.hard_ttl_seconds
    assert b'"id":"3"' in stored.body
    assert world.metrics.gauges["published_answers", KIND] == 2
    assert len(world.metrics.observed["precompute_seconds", KIND]) == 1
    assert world.answers.publications[0].catalogue == world.catalogue.version()


def test_a_second_job_of_a_tick_does_nothing(world: World) -> None:
    assert perform(world, job(tick=5), job(tick=5), job(tick=4)) == [(VERSION, 5)]
    assert world.metrics.counted["duplicates_total", "answers.precompute"] == 2


def test_the_next_tick_publishes_a_higher_version_whatever_the_clock_says(world: World) -> None:
    perform(world, job(tick=5))
    world.clock.now -= 60
    assert perform(world, job(tick=6)) == [(VERSION, 5), (VERSION + 1, 6)]


def test_a_stale_set_is_made_anew_once(world: World) -> None:
    perform(world, job(tick=5))
    world.clock.now += 1000
    stale = [job(stale=VERSION), job(stale=VERSION)]
    assert perform(world, *stale) == [(VERSION, 5), (VERSION + 1_000_000, 5)]


def test_a_missing_set_is_made_for_the_reader_who_missed_it(world: World) -> None:
    assert perform(world, job(stale=0), job(stale=0)) == [(VERSION, None)]


def test_what_an_operator_asks_for_is_always_done(world: World) -> None:
    assert perform(world, job(), job()) == [(VERSION, None), (VERSION + 1, None)]


def test_a_refresh_on_demand_does_not_make_a_tick_run_twice(world: World) -> None:
    assert len(perform(world, job(tick=5), job(), job(tick=5))) == 2


def test_nothing_scheduled_is_published_after_a_rollback(world: World) -> None:
    perform(world, job(tick=5), job(tick=6))
    world.answers.roll_back(KIND, 600)
    assert len(perform(world, job(tick=7), job(stale=VERSION))) == 2
    assert len(perform(world, job())) == 3
    assert not world.answers.held(KIND)
    assert len(perform(world, job(tick=8))) == 4


def test_somebody_elses_computation_is_not_repeated_but_waited_for(world: World) -> None:
    world.answers.claim(KIND, 60)
    with pytest.raises(PartlyFailed) as caught:
        perform(world, job(tick=5))
    assert isinstance(caught.value.reasons["e"], Transient)
    assert not world.answers.publications


def test_what_a_reader_found_stale_is_left_to_whoever_computes_already(world: World) -> None:
    world.answers.claim(KIND, 60)
    perform(world, job(stale=0))
    assert not world.answers.publications


def test_the_lease_is_given_back_also_after_a_failure(world: World) -> None:
    broken = World(RULE, FakeCatalogueStore(None))
    with pytest.raises(PartlyFailed):
        perform(broken, job(tick=5))
    assert broken.answers.claim(KIND, 60)


def test_one_kind_that_fails_does_not_hold_up_the_others(world: World) -> None:
    with pytest.raises(PartlyFailed) as caught:
        perform(world, job("chat", event_id="bad"), job("title"), job("fallback"))
    assert caught.value.permanent
    assert isinstance(caught.value.reasons["bad"], Permanent)
    assert [each.kind for each in world.answers.publications] == ["title", "fallback"]


def test_a_kind_that_the_catalogue_has_no_more_of_is_withdrawn(world: World) -> None:
    key = AnswerKey("genre", "action", "en")
    rows = [title(str(at), at, genres=("Action",)) for at in range(5)]
    world.ports.catalogue.publish(Catalogue(rows))
    perform(world, job("genre", tick=1))
    assert world.answers.read(key) is not None
    world.ports.catalogue.publish(Catalogue([title("1", 1)]))
    assert perform(world, job("genre", tick=2)) == [(VERSION, 1), (VERSION + 1, 2)]
    assert world.answers.read(key) is None
    assert [each.answers for each in world.answers.publications][1:] == [0]
    assert world.metrics.gauges["published_answers", "genre"] == 0
    perform(world, job("genre", tick=2))
    assert world.metrics.counted["duplicates_total", "answers.precompute"] == 1


ROW = declared_answers.declared().kinds.trending
PERIOD = int(ROW.refresh_seconds)


class Beat:
    """Sends a tick for each period of its own clock, and every tick twice, as two beats do."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ahead = 0.0
        self.oldest = 0.0
        self._last_tick: int | None = None

    def run(self, seconds: float) -> None:
        """So many seconds pass, in steps."""
        for _ in range(int(seconds // 30)):
            self.world.clock.now += 30
            tick = int((self.world.clock.now + self.ahead) // PERIOD) * PERIOD
            if tick != self._last_tick:
                self._last_tick = tick
                precompute_answers([job(tick=tick), job(tick=tick, event_id="f")], self.world.ports)
            current = self.world.ports.answers.current(KIND)
            assert current is not None
            self.oldest = max(self.oldest, self.world.clock.now - current.generated_at)

    @property
    def publications(self) -> int:
        return len(self.world.answers.publications)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
@pytest.mark.parametrize("whose", ["beat", "both"])
def test_over_a_jump_of_the_clock_answers_stay_fresh_and_no_tick_counts_twice(
    world: World, jump: float, whose: str
) -> None:
    beat = Beat(world)
    beat.run(3 * PERIOD)
    before = beat.publications
    assert before <= 4
    if whose == "beat":
        beat.ahead += jump
    else:
        world.clock.now += jump
        beat.oldest = 0.0
    beat.run(6 * PERIOD)
    slack = 30 + max(0.0, jump) * (whose == "both")
    assert beat.oldest <= 2 * PERIOD + slack
    assert 4 <= beat.publications - before <= 7
    assert len({each.version for each in world.answers.publications}) == beat.publications


def test_two_beats_with_clocks_an_hour_apart_refresh_once_a_period(world: World) -> None:
    for period in range(8):
        world.clock.now += PERIOD
        tick = int(world.clock.now // PERIOD) * PERIOD
        precompute_answers([job(tick=tick + 3600), job(tick=tick, event_id="f")], world.ports)
        assert len(world.answers.publications) == period + 1
