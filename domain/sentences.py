"""What an answer's text says of titles: names in a row, dates, and what is known of one title.

The wording itself comes in as `Phrases`. Nothing is said that the catalogue does not know.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from domain.catalogue import Title
from domain.events import Locale
from domain.genres import names_in

NAMED = 3
"""How many titles a text names; the others are in the items."""

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_FINISHED = "finished"
_STATUS = {
    "currently_publishing": "title_ongoing",
    "on_hiatus": "title_hiatus",
    "discontinued": "title_discontinued",
}


class Phrases(Protocol):
    """How sentences are worded; their names are those of `config/texts.toml`."""

    def say(self, locale: str, sentence: str, **values: str | int) -> str:
        """The sentence in this locale."""
        ...


def names(phrases: Phrases, locale: Locale, titles: Sequence[Title]) -> str:
    """The first titles by name, and how many there are if these are not all."""
    named = [phrases.say(locale, "listed", name=title.name(locale)) for title in titles[:NAMED]]
    return _row(phrases, locale, named, len(titles))


def ranks(phrases: Phrases, locale: Locale, titles: Sequence[Title]) -> str:
    """The first titles with their places."""
    named = [
        phrases.say(locale, "listed_ranked", rank=rank, name=title.name(locale))
        for rank, title in enumerate(titles[:NAMED], 1)
    ]
    return phrases.say(locale, "between").join(named)


def names_with_dates(phrases: Phrases, locale: Locale, titles: Sequence[Title]) -> str:
    """The first titles with when they began."""
    named = [
        phrases.say(
            locale,
            "listed_dated",
            name=title.name(locale),
            date=when(phrases, locale, title.published_from or ""),
        )
        for title in titles[:NAMED]
    ]
    return _row(phrases, locale, named, len(titles))


def when(phrases: Phrases, locale: Locale, date: str) -> str:
    """A date as exact as it is known: "YYYY", "YYYY-MM" or "YYYY-MM-DD"."""
    year, *rest = date.split("-")
    if not rest:
        return phrases.say(locale, "date_year", year=year)
    month = int(rest[0])
    month_name = _MONTHS[month - 1]
    if len(rest) == 1:
        return phrases.say(locale, "date_month", year=year, month=month, month_name=month_name)
    day = int(rest[1])
    return phrases.say(locale, "date_day", year=year, month=month, month_name=month_name, day=day)


def unless_unknown(sentence: str, titles: Sequence[Title]) -> str:
    """The sentence that calls titles popular, or its plain form where nobody has counted."""
    known = all(title.popularity is not None for title in titles)
    return sentence if known else f"{sentence}_plain"


def about(phrases: Phrases, locale: Locale, title: Title) -> str:
    """Everything that is known of one title."""
    return ("" if locale == "ja" else " ").join(_facts(phrases, locale, title))


def _facts(phrases: Phrases, locale: Locale, title: Title) -> Iterator[str]:
    def say(sentence: str, **values: str | int) -> str:
        return phrases.say(locale, sentence, **values)

    name, other = title.name(locale), title.name("en" if locale == "ja" else "ja")
    authors = _authors(title, locale)
    if authors:
        yield say("title_by", name=name, authors=say("between").join(authors))
    else:
        yield say("title", name=name)
    if title.title_ja and other != name:
        yield say("title_other_name", name=other)
    if title.published_from:
        yield say("title_began", date=when(phrases, locale, title.published_from))
    if title.status == _FINISHED and title.volumes:
        yield say("title_finished_volumes", count=title.volumes)
    elif title.status == _FINISHED:
        yield say("title_finished")
    elif title.status in _STATUS:
        yield say(_STATUS[title.status])
    labels = [*title.demographic, *title.genres]
    if labels:
        yield say("title_genres", names=say("between").join(names_in(locale, labels)))


def _row(phrases: Phrases, locale: Locale, named: Sequence[str], count: int) -> str:
    row = phrases.say(locale, "between").join(named)
    if count > len(named):
        row += phrases.say(locale, "and_more", count=count, more=count - len(named))
    return row


def _authors(title: Title, locale: Locale) -> tuple[str, ...]:
    if locale == "ja":
        return title.authors_ja or title.authors
    return title.authors or title.authors_ja
