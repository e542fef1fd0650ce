"""The three kinds of catalogue row that are understood, and the title that each stands for.

The row's keys say which it is:

* `title`: our own, every field of `domain.catalogue.Title` by its name, and `madb_id`;
* `first_published`: the Media Arts Database (serialised works, Japanese only);
* `title_romaji`: a feed by MyAnimeList id (`members` is the popularity, `nsfw` black is adult).

Fields beyond those are ignored: feeds grow.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from domain.catalogue import Title

_Name = Annotated[str, Meta(min_length=1, max_length=500)]
_Names = Annotated[list[_Name], Meta(max_length=200)]
_Count = Annotated[int, Meta(ge=0, le=10**12)]
_Date = Annotated[str, Meta(max_length=10)]
_Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]

_AUTHORS_JOINT = "／"
"""The Media Arts Database joins the authors of one work with a full-width slash."""


class OwnRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of our own schema, that of the bundled sample."""

    id: _Id
    title: _Name
    title_ja: _Name | None = None
    title_romaji: _Name | None = None
    title_kana: _Name | None = None
    aliases: _Names | None = None
    authors: _Names | None = None
    authors_ja: _Names | None = None
    genres: _Names | None = None
    demographic: _Names | None = None
    published_from: _Date | None = None
    status: Annotated[str, Meta(max_length=40)] | None = None
    volumes: _Count | None = None
    popularity: _Count | None = None
    score: Annotated[float, Meta(ge=0, le=10)] | None = None
    adult: bool = False
    madb_id: _Id | None = None

    def as_title(self) -> Title:
        """The title of this row."""
        return Title(
            id=self.id,
            title=_text(self.title),
            title_ja=self.title_ja,
            title_romaji=self.title_romaji,
            title_kana=self.title_kana,
            aliases=_distinct(self.aliases),
            authors=_distinct(self.authors),
            authors_ja=_distinct(self.authors_ja),
            genres=_distinct(self.genres),
            demographic=_distinct(self.demographic),
            published_from=self.published_from,
            status=self.status,
            volumes=self.volumes,
            popularity=self.popularity,
            score=self.score,
            adult=self.adult,
        )


class MadbRow(msgspec.Struct, frozen=True, kw_only=True):
    """A serialised work of the Media Arts Database."""

    id: _Id
    title_ja: _Name
    title_kana: _Name | None = None
    authors: _Names | None = None
    original_authors: _Names | None = None
    first_published: _Date | None = None

    def as_title(self) -> Title:
        """The title of this row; the writer of an original stands after the artist."""
        joined = (*(self.authors or ()), *(self.original_authors or ()))
        names = [name.strip() for each in joined for name in each.split(_AUTHORS_JOINT)]
        return Title(
            id=self.id,
            title=_text(self.title_ja),
            title_ja=self.title_ja,
            title_kana=self.title_kana,
            authors_ja=_distinct(names),
            published_from=self.first_published,
        )


class FeedAuthor(msgspec.Struct, frozen=True):
    """An author as the feed names one."""

    name_ja: _Name | None = None


class FeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the feed by MyAnimeList id."""

    id: Annotated[int, Meta(ge=1)]
    title_romaji: _Name
    title_ja: _Name | None = None
    title_en: _Name | None = None
    synonyms: _Names | None = None
    status: Annotated[str, Meta(max_length=40)] | None = None
    genres: _Names | None = None
    demographic: _Names | None = None
    published_from: _Date | None = None
    volumes: _Count | None = None
    nsfw: str | None = None
    authors: Annotated[list[FeedAuthor], Meta(max_length=200)] | None = None
    score: Annotated[float, Meta(ge=0, le=10)] | None = None
    members: _Count | None = None

    def as_title(self) -> Title:
        """The title of this row."""
        authors = [author.name_ja for author in self.authors or () if author.name_ja]
        return Title(
            id=str(self.id),
            title=_text(self.title_en or self.title_romaji),
            title_ja=self.title_ja,
            title_romaji=self.title_romaji,
            aliases=_distinct(self.synonyms),
            authors_ja=_distinct(authors),
            genres=_distinct(self.genres),
            demographic=_distinct(self.demographic),
            published_from=self.published_from,
            status=self.status,
            volumes=self.volumes,
            popularity=self.members,
            score=self.score,
            adult=self.nsfw == "black",
        )


_SHAPES: Sequence[tuple[str, type[OwnRow | MadbRow | FeedRow]]] = (
    ("title", OwnRow),
    ("first_published", MadbRow),
    ("title_romaji", FeedRow),
)

NO_TITLE = (
    "has no title: neither title nor title_romaji is there, nor title_ja with first_published"
)


def parse_row(line: str) -> Title:
    """The title that a line of JSON stands for; ValueError says in one line why there is none."""
    try:
        row = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("not JSON: nested too deeply") from error
    keys = row if isinstance(row, dict) else {}
    shape = next((shape for key, shape in _SHAPES if key in keys), None)
    if shape is None:
        raise ValueError(NO_TITLE)
    try:
        return msgspec.convert(row, shape).as_title()
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _text(name: str) -> str:
    text = name.strip()
    if not text:
        raise ValueError("the title is blank")
    return text


def _distinct(names: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names or () if name.strip()))
