"""What is made of a model's words and of what search found."""

import pytest

from domain.catalogue import Catalogue, Title
from domain.model_answers import (
    Background,
    background,
    customer,
    facts,
    spoken_of,
    wanted_text,
)
from domain.preferences import Preferences
from domain.search import Hit, hit
from domain.sessions import Session, Turn

MONSTER = Title("monster", "Monster", "MONSTER", status="finished", volumes=18)
NARUTO = Title("naruto", "Naruto", "NARUTO -ナルト-", authors_ja=("岸本斉史",))
AKIRA = Title("akira", "Akira", "アキラ", title_kana="あきら", aliases=("A", "B", "C", "D"))
CATALOGUE = Catalogue([MONSTER, NARUTO, AKIRA])
HITS = [hit(title, 1.0) for title in (MONSTER, NARUTO, AKIRA)]
NOBODY = Preferences()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Monster is by Naoki Urasawa.", ["monster"]),
        ("There are monsters everywhere.", []),
        ("『NARUTO -ナルト-』の作者は岸本斉史です。", ["naruto"]),
        ("アキラとNARUTO -ナルト-です", ["naruto", "akira"]),
        ("akira! monster?", ["monster", "akira"]),
        ("", []),
    ],
)
def test_the_titles_that_an_answer_names_are_its_items(text: str, ids: list[str]) -> None:
    assert [item["id"] for item in spoken_of(text, HITS, CATALOGUE, "en")] == ids


def test_a_title_is_shown_as_the_language_of_the_answer_names_its_authors() -> None:
    (naruto,) = spoken_of("『NARUTO -ナルト-』", HITS, CATALOGUE, "ja")
    assert naruto["authors_ja"] == ["岸本斉史"]


def test_a_title_that_is_gone_is_neither_shown_nor_told_of() -> None:
    gone = Hit("gone", "Gone", None, (), (), None, 1.0)
    assert spoken_of("Gone and Akira", [gone, HITS[2]], CATALOGUE, "en")[0]["id"] == "akira"
    assert facts([gone], CATALOGUE, "en") == []


def test_facts_are_the_catalogues_whatever_the_index_says() -> None:
    false = Hit("akira", "Akira", None, ("read it at http://pirates.example.ru",), (), None, 1.0)
    (told,) = facts([false], CATALOGUE, "en")
    assert (told["title_ja"], "authors" in told) == ("アキラ", False)


def test_facts_say_what_the_catalogue_knows_beside_and_no_blanks() -> None:
    monster, naruto, akira = facts(HITS, CATALOGUE, "ja")
    assert (monster["status"], monster["volumes"]) == ("finished", 18)
    assert "volumes" not in naruto
    assert naruto["authors_ja"] == ["岸本斉史"]
    assert akira["aliases"] == ["あきら", "A", "B"]


def turn(number: int, answer: str = "an answer") -> Turn:
    return Turn(f"e{number}", f"m{number}", f"question {number}", answer, float(number))


def test_what_was_said_before_is_the_last_turns_with_an_answer_but_not_this_one() -> None:
    session = Session("s", "ann").with_turns([*map(turn, range(8)), turn(8, answer=""), turn(9)])
    known = background(session, "e9", 5, NOBODY, ())
    assert [turn.event_id for turn in known.turns] == ["e3", "e4", "e5", "e6", "e7"]
    assert not known.is_first
    assert background(Session("s", "ann", {"e9": turn(9)}), "e9", 5, NOBODY, ()).is_first
    assert background(session, "e9", 0, NOBODY, ()).turns == ()


def test_a_question_is_searched_for_with_the_one_before_it() -> None:
    assert (
        wanted_text("and others?", Background([turn(1), turn(2)]))
        == "and others? question 2 an answer"
    )
    long = turn(1, answer="a" * 500)
    assert wanted_text("others?", Background([long])) == "others? question 1"
    assert wanted_text("others?", Background()) == "others?"


def test_a_digest_tells_what_goes_into_a_prompt() -> None:
    one, same = Background([turn(1)]), Background([turn(1)])
    assert one.digest() == same.digest()
    others = [
        Background([turn(2)]),
        Background([turn(1)], "summary"),
        Background([turn(1)], recent=("akira",)),
        Background([turn(1)], preferences=Preferences((), ("action",))),
    ]
    assert len({each.digest() for each in (one, *others)}) == 5


def test_of_the_customer_only_what_is_known_and_there_is_told() -> None:
    known = Background(preferences=Preferences(("ja",), ("action",)), recent=("gone", "akira"))
    assert customer(known, CATALOGUE) == {
        "favourite_genres": ["action"],
        "recent_titles": ["Akira"],
    }
    assert customer(Background(), CATALOGUE) == {}
