"""Who has answers made anew waits for those of the catalogue of now."""

import pytest

from adapters.aws_clients import AwsClients
from adapters.sqs_queues import SqsQueues
from cli.answers_refresh import Refresher
from config import queues
from domain.catalogue import Catalogue
from domain.errors import Transient
from domain.jobs import PrecomputeAnswers
from domain.ports import PublishedSet
from tasks.precompute import precompute_answers
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE, title
from workers.sqs_sending import SqsSending

KIND = "trending"


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore(Catalogue([title("1")])))


def precompute(world: World) -> PublishedSet:
    """What a worker publishes that computes now."""
    job = PrecomputeAnswers(event_id="e", producer="test", seq=0, occurred_at=NOW, answer_kind=KIND)
    precompute_answers([job], world.ports)
    return world.answers.publications[-1]


def told(
    world: World, before: PublishedSet | None
) -> list[tuple[PublishedSet, PublishedSet | None]]:
    """What is told of by the time that nothing more is waited for; raises Transient."""
    sending = SqsSending(SqsQueues(AwsClients()), queues.declared())
    sets = list[tuple[PublishedSet, PublishedSet | None]]()
    Refresher(world.ports, sending).wait({KIND: before}, lambda *both: sets.append(both), 0.0)
    return sets


@pytest.mark.parametrize("is_first", [True, False])
def test_a_newer_set_of_the_catalogue_before_is_not_what_an_import_waits_for(
    world: World, is_first: bool
) -> None:
    before = None if is_first else precompute(world)
    precompute(world)  # was under way
    world.catalogue.publish(Catalogue([title("1"), title("2")]))
    with pytest.raises(Transient, match=f"no worker has published {KIND}"):
        told(world, before)
    asked_for = precompute(world)
    assert told(world, before) == [(asked_for, before)]


def test_the_set_that_was_there_is_not_waited_for(world: World) -> None:
    before = precompute(world)
    with pytest.raises(Transient):
        told(world, before)
    assert told(world, None) == [(before, None)]
