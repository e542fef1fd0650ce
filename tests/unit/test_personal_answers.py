"""A user's stored recommendation: for that user alone, in the locale that is asked for."""

import json
from dataclasses import replace

import pytest

from config import texts
from domain.answers import Damage, Damaged, hash_of
from domain.catalogue import Catalogue
from domain.features import GroupRecord, UserFeatures
from domain.personal_answers import (
    Lifetime,
    catalogue_in,
    preview_in,
    recommendation_key,
    render,
    store,
    unpack,
)
from domain.recommendations import FILLED, Recommended, presentable, request_of
from tests.fakes import NOW
from tests.samples import title

ROWS = [(title("a"), 2.0), (title("b"), 1.0)]


def stored(user_id: str = "ann") -> bytes:
    return store(
        user_id, ROWS, texts.declared(), NOW, Lifetime(60, 600), catalogue_version="v-1"
    ).pack()


@pytest.mark.parametrize(("locale", "name"), [("ja", "題a"), ("en", "Title a")])
def test_it_is_ready_in_every_locale(locale: str, name: str) -> None:
    answer = unpack(stored(), "ann", "ja" if locale == "ja" else "en")
    document = json.loads(answer.body + b"}")
    assert name in document["answer"]["text"]
    assert (document["answer"]["locale"], document["answer"]["kind"]) == (locale, "recommendation")
    assert [(one["id"], one["score"]) for one in document["answer"]["items"]] == [
        ("a", 2.0),
        ("b", 1.0),
    ]
    assert document["version"] == answer.version == int(NOW * 1000)
    assert preview_in(answer.preview, "ja" if locale == "ja" else "en").count(name) == 1
    assert (answer.soft_expires_at, answer.hard_expires_at) == (NOW + 60, NOW + 600)


def test_under_another_users_key_it_is_no_answer() -> None:
    with pytest.raises(Damaged) as raised:
        unpack(stored("ann"), "bob", "ja")
    assert raised.value.damage is Damage.FOREIGN_KEY


def test_it_is_no_answer_where_only_the_hash_of_the_key_fits() -> None:
    anns = store("ann", ROWS, texts.declared(), NOW, Lifetime(60, 600), catalogue_version="v-1")
    forged = replace(anns, key_hash=hash_of(recommendation_key("bob")))
    with pytest.raises(Damaged) as raised:
        unpack(forged.pack(), "bob", "ja")
    assert raised.value.damage is Damage.FOREIGN_KEY


def test_a_body_of_another_form_is_damaged() -> None:
    half = replace(
        store("ann", ROWS, texts.declared(), NOW, Lifetime(60, 600), catalogue_version="v-1"),
        body=b"ann\n{}",
    )
    with pytest.raises(Damaged):
        unpack(half.pack(), "ann", "ja")
    with pytest.raises(Damaged):
        unpack(stored()[:-1], "ann", "ja")


def test_the_catalogue_that_it_is_of_is_named_beside_the_previews() -> None:
    rows = [(replace(title("a"), title="Two\nlines"), 1.0)]
    for each in (ROWS, rows):
        made = store("ann", each, texts.declared(), NOW, Lifetime(60, 600), catalogue_version="v-1")
        assert catalogue_in(made.preview) == "v-1"
        assert b"v-1" not in made.body
    assert "Two lines" in preview_in(made.preview, "en")
    assert "v-1" not in preview_in(unpack(stored(), "ann", "en").preview, "en")


def test_the_preview_of_another_answer_is_left_as_it_is() -> None:
    assert preview_in("one line", "en") == "one line"


def test_the_model_is_told_the_wanted_live_features_alone() -> None:
    features = UserFeatures(
        "ann",
        {
            "profile": GroupRecord(NOW - 9, {"genres": "Action", "born": "1990"}),
            "activity": GroupRecord(NOW - 9, {"genres": "Drama"}, expires_at=NOW - 1),
            "other": GroupRecord(NOW - 9, {"born": "1990"}),
        },
    )
    request = request_of(features, ["a"], wanted=["genres"], limit=10, now=NOW)
    assert request is not None
    assert (request.recent, request.features) == (["a"], {"profile": {"genres": "Action"}})
    assert request.limit > 10
    assert "ann" not in repr(request)


def test_without_anything_known_there_is_nothing_to_ask() -> None:
    unwanted = UserFeatures("ann", {"profile": GroupRecord(NOW, {"born": "1990"})})
    for features in (None, unwanted):
        assert request_of(features, [], wanted=["genres"], limit=10, now=NOW) is None


def test_what_is_free_is_filled_with_popular_titles_that_are_new_to_the_user() -> None:
    adult = title("adult", 99, adult=True)
    catalogue = Catalogue([*(title(name, ord(name)) for name in "abcdef"), adult])
    rows = presentable([Recommended("a", 2.0), Recommended("a", 1.0)], catalogue, {"f"}, 4)
    assert [(found.id, score) for found, score in rows] == [
        ("a", 2.0),
        ("e", 0.0),
        ("d", 0.0),
        ("c", 0.0),
    ]
    answer = render(rows, texts.declared(), "en")
    assert answer.text == (
        "Chosen to suit your interests: Title a. The list goes on with popular titles."
    )


def test_where_nothing_is_left_nothing_is_filled() -> None:
    catalogue = Catalogue([title("a"), title("b")])
    for items in ([], [Recommended("gone", 1.0)], [Recommended("a", FILLED)]):
        assert not presentable(items, catalogue, (), 10)


def test_only_titles_that_may_be_listed_and_are_new_to_the_user_are_shown() -> None:
    catalogue = Catalogue([title("a"), title("b"), title("adult", adult=True), title("c")])
    items = [Recommended(name, 1.0) for name in ("gone", "adult", "a", "b", "c")]
    rows = presentable(items, catalogue, {"a"}, 1)
    assert [(found.id, score) for found, score in rows] == [("b", 1.0)]
