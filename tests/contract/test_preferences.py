"""What customers prefer: the contract of `PreferenceNotes`, and how the request path reads it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import permutations

import pytest

from adapters.redis_connection import RedisConnection
from adapters.redis_kept import KeptRedis
from adapters.redis_preferences import AHEAD_SECONDS, RedisPreferences
from adapters.redis_serving_visitors import ServingVisitors
from domain.events import Locale
from domain.jobs import NotePreference
from domain.ports import PreferenceNotes
from domain.preferences import MAX_PREFERENCES, Preferences, preferences
from tests.fakes import NOW, FakePreferences

SECONDS = 60.0


@dataclass
class Desk:
    """The notes and a reader of them."""

    notes: PreferenceNotes
    read: Callable[[str], Awaitable[Preferences]]


@pytest.fixture(params=["fake", "redis"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "fake":
        fake = FakePreferences()

        async def read(user: str) -> Preferences:
            return preferences(fake.of(user))

        yield Desk(fake, read)
        return
    connection: RedisConnection = request.getfixturevalue("redis_connection")
    kept = KeptRedis(request.getfixturevalue("valkey_url"), name="test")
    kept.start()
    visitors = ServingVisitors(kept)
    yield Desk(
        RedisPreferences(connection, 60, lambda: NOW),
        lambda user: _when_up(kept, visitors, user),
    )
    await kept.close()


async def _when_up(kept: KeptRedis, visitors: ServingVisitors, user: str) -> Preferences:
    while not kept.up:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    return await visitors.preferences(user, SECONDS)


def noted(at: float, locale: Locale = "ja", genre: str = "", user: str = "ann") -> NotePreference:
    return NotePreference(
        event_id=f"{at}", producer="test", seq=0, occurred_at=NOW + at, user_id=user,
        locale=locale, genre=genre,
    )  # fmt: skip


async def test_the_newest_is_first_whatever_the_order_and_number_of_notes(desk: Desk) -> None:
    notes = [noted(-3, "en", "action"), noted(-2, "ja", "romance"), noted(-1, "ja", "action")]
    for number, order in enumerate(permutations(notes)):
        user = f"user-{number}"
        for note in (*order, order[0]):
            desk.notes.note([noted(note.occurred_at - NOW, note.locale, note.genre, user)])
        assert await desk.read(user) == Preferences(("ja", "en"), ("action", "romance"))


async def test_customers_are_told_apart(desk: Desk) -> None:
    desk.notes.note([noted(0, "en", "action", "ann"), noted(0, "ja", "romance", "bob")])
    assert await desk.read("ann") == Preferences(("en",), ("action",))
    assert await desk.read("bob") == Preferences(("ja",), ("romance",))
    assert await desk.read("cem") == Preferences()


async def test_so_many_are_remembered(desk: Desk) -> None:
    desk.notes.note([noted(n, "ja", f"g{n:02}") for n in range(2 * MAX_PREFERENCES)])
    found = await desk.read("ann")
    assert len(found.locales) + len(found.genres) == MAX_PREFERENCES
    assert found.genres[0] == f"g{2 * MAX_PREFERENCES - 1}"


async def test_a_clock_that_is_far_ahead_does_not_stay_first(
    redis_connection: RedisConnection,
) -> None:
    ahead = RedisPreferences(redis_connection, 60, lambda: NOW)
    ahead.note([noted(1e9, "en")])
    later = RedisPreferences(redis_connection, 60, lambda: NOW + 1000)
    later.note([noted(AHEAD_SECONDS + 1, "ja")])
    names = redis_connection.client.zrevrange("prefs:ann", 0, -1)
    assert preferences(name.decode() for name in names).locales == ("ja", "en")


def test_what_is_no_sorted_set_is_begun_anew(redis_connection: RedisConnection) -> None:
    redis_connection.client.rpush("prefs:ann", "no set")
    RedisPreferences(redis_connection, 60, lambda: NOW).note([noted(0, "en")])
    assert redis_connection.client.zrevrange("prefs:ann", 0, -1) == [b"locale:en"]


def test_what_is_remembered_expires(redis_connection: RedisConnection) -> None:
    RedisPreferences(redis_connection, 60, lambda: NOW).note([noted(0)])
    assert 0 < redis_connection.client.ttl("prefs:ann") <= 60


def test_names_of_a_later_release_are_left_out() -> None:
    assert preferences(["price:low", "locale:fr", "locale:en", "genre:", "x"]) == Preferences(
        ("en",)
    )
