"""What may stand in which list, and in which order."""

from datetime import date

import pytest

from domain.catalogue import Catalogue, Title, item, published_between
from domain.genres import GENRE_NAMES, slug_of

TODAY = date(2025, 6, 15)


def titled(number: int, **fields: object) -> Title:
    return Title(id=str(number), title=f"Title {number}", **fields)  # type: ignore[arg-type]


def test_lists_are_in_order_of_popularity_and_unknown_comes_last() -> None:
    catalogue = Catalogue([titled(1), titled(2, popularity=5), titled(3, popularity=9), titled(4)])
    assert [title.id for title in catalogue.by_popularity] == ["3", "2", "1", "4"]


@pytest.mark.parametrize("fields", [{"adult": True}, {"genres": ("Hentai",)}])
def test_an_adult_title_is_known_but_never_listed(fields: dict[str, object]) -> None:
    title = titled(1, **{"genres": ("Action",), "published_from": "2025-01-01", **fields})
    catalogue = Catalogue([title])
    assert catalogue.get("1") is title
    assert not catalogue.by_popularity
    assert not catalogue.newest(TODAY, 5)
    assert not catalogue.genres()
    assert not catalogue.of_genre("action")


def test_newest_lists_only_what_is_certain_to_be_out() -> None:
    dates = ["2025-06-16", "2025-06-15", "2025-06", "2025-05", "2025", "2024", "2025-05-20", None]
    catalogue = Catalogue(titled(n, published_from=day) for n, day in enumerate(dates))
    found = [title.published_from for title in catalogue.newest(TODAY, 10)]
    assert found == ["2025-06-15", "2025-05-20", "2025-05", "2024"]
    assert len(catalogue.newest(TODAY, 2)) == 2


def test_spellings_of_a_genre_are_one_genre() -> None:
    spelt = [("Shounen",), ("Shonen",), ("shōnen",)]
    catalogue = Catalogue(titled(n, demographic=names) for n, names in enumerate(spelt))
    (count,) = catalogue.demographics()
    assert (count.slug, count.titles, count.name.ja) == ("shonen", 3, "少年漫画")
    assert len(catalogue.of_genre("shonen")) == 3


def test_only_a_genre_with_enough_titles_can_be_browsed() -> None:
    titles = [titled(n, genres=("Horror",) if n else ("Horror", "Gore")) for n in range(5)]
    assert [count.slug for count in Catalogue(titles).browsable()] == ["horror"]


def test_every_slug_of_the_table_is_its_own() -> None:
    assert all(slug_of(slug) == slug for slug in GENRE_NAMES)
    assert slug_of("Slice of Life") == "slice-of-life"
    assert slug_of("百合") != slug_of("料理") != ""


def test_an_item_shows_what_is_unknown_as_null() -> None:
    assert item(titled(1), "en") == {
        "id": "1",
        "title": "Title 1",
        "title_ja": None,
        "authors": None,
        "genres": None,
        "demographic": None,
        "published_from": None,
    }


def test_a_japanese_answer_shows_japanese_names_where_they_are_known() -> None:
    known = titled(
        1, authors=("Akira Toriyama",), authors_ja=("鳥山明",), genres=("Action", "Tea"),
        demographic=("Shounen",),
    )  # fmt: skip
    assert item(known, "ja") == item(known, "en") | {
        "authors_ja": ["鳥山明"],
        "genres_ja": ["アクション", "Tea"],
        "demographic_ja": ["少年漫画"],
    }
    assert item(titled(1), "ja") == item(titled(1), "en")


@pytest.mark.parametrize("wrong", ["", "97", "1997-13", "1997-02-30", "1997-1-1", "1500", "soon"])
def test_a_date_that_cannot_be_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"date|year"):
        published_between(wrong)


def test_one_id_names_one_title() -> None:
    with pytest.raises(ValueError, match="used twice"):
        Catalogue([titled(1), titled(1)])
