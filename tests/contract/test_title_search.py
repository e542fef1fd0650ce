"""The contract of `Search` on the fake, the index in the process and OpenSearch at the wire."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import AsyncOpenSearch

import config
import emulators
from adapters.aws_clients import AwsClients
from adapters.index_search import IndexSearch
from adapters.jsonl_catalogue import read_catalogue
from adapters.ngram_embeddings import NgramEmbeddings
from adapters.opensearch_client import opensearch
from adapters.opensearch_search import OpenSearchSearch
from adapters.opensearch_titles import OpenSearchTitles, index_name
from config import answers
from config import search as search_table
from config.wordings import genre_words
from domain.catalogue import Catalogue, Title
from domain.comparisons import comparison
from domain.errors import MangaAssistError, Permanent, Transient
from domain.gist import Gist
from domain.search import Comparison, Search, Vector, Wanted, genre_slugs
from emulators import FaultRule, RunningEmulator
from tests.model_fakes import FakeSearch

WORDS = partial(genre_words, answers.load().patterns)
TABLE = search_table.load()
GIST = Gist(TABLE.stop_words.latin, TABLE.stop_words.japanese)
ALIAS = "titles-test"
LONG = 30.0
TITLES = (
    Title("berserk", "Berserk", title_ja="ベルセルク", authors=("Kentaro Miura",), popularity=9),
    Title("monster", "Monster", authors=("Naoki Urasawa",), genres=("Mystery",), popularity=8),
    Title(
        "oishinbo",
        "Oishinbo",
        title_ja="美味しんぼ",
        authors=("Tetsu Kariya",),
        authors_ja=("雁屋哲",),
        genres=("Gourmet",),
        demographic=("Seinen",),
        published_from="1983",
        popularity=3,
    ),
    Title("food-wars", "Food Wars!", genres=("Gourmet",), demographic=("Shonen",), popularity=7),
    Title("hidden", "Berserk Nights", genres=("Hentai",), popularity=99),
)


class BrokenEmbeddings(NgramEmbeddings):
    """Fails, or would take longer than it may, as it is told."""

    def __init__(self) -> None:
        super().__init__(min_similarity=0.2)
        self.fail: MangaAssistError | None = None
        self.takes = 0.0

    async def embed(self, text: str, seconds: float) -> Vector:
        if self.fail is not None:
            raise self.fail
        if self.takes > seconds:
            raise Transient("too late", dependency="bedrock-runtime")
        return await super().embed(text, seconds)


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with emulators.run_in_thread("opensearch") as running:
        yield running


@pytest.fixture
async def client(emulator: RunningEmulator) -> AsyncIterator[AsyncOpenSearch]:
    emulator.heal()
    service: Any = emulator._app.dispatcher._services["opensearch"]
    service.indices.clear()
    service._aliases.clear()
    connected = opensearch(emulator.url, AwsClients())
    yield connected
    await connected.close()


@pytest.fixture
def embeddings() -> BrokenEmbeddings:
    return BrokenEmbeddings()


@pytest.fixture
def titles(client: AsyncOpenSearch, embeddings: BrokenEmbeddings) -> OpenSearchTitles:
    return OpenSearchTitles(client, ALIAS, embeddings, WORDS)


@pytest.fixture
async def loaded(
    client: AsyncOpenSearch, titles: OpenSearchTitles, embeddings: BrokenEmbeddings
) -> OpenSearchSearch:
    assert await titles.load(Catalogue(TITLES), "v1")
    return OpenSearchSearch(client, ALIAS, embeddings, GIST)


@pytest.fixture(params=["fake", "index", "opensearch"])
def search(request: pytest.FixtureRequest) -> Search:
    if request.param == "fake":
        return FakeSearch(*TITLES)
    if request.param == "index":
        return IndexSearch(Catalogue(TITLES), WORDS, TABLE)
    found: OpenSearchSearch = request.getfixturevalue("loaded")
    return found


async def ids(search: Search, text: str, *genres: str, limit: int = 5) -> list[str]:
    wanted = Wanted(text=text, genres=frozenset(genres), limit=limit)
    return [hit.id for hit in (await search.search(wanted, LONG)).hits]


@pytest.mark.parametrize(
    ("text", "first"),
    [("Berserk", "berserk"), ("ベルセルク", "berserk"), ("naoki urasawa", "monster")],
)
async def test_a_name_is_found_first(search: Search, text: str, first: str) -> None:
    assert (await ids(search, text))[0] == first


async def test_a_hit_says_what_a_prompt_needs(search: Search) -> None:
    found = (await search.search(Wanted(text="oishinbo"), LONG)).hits[0]
    assert found.fact() == {
        "id": "oishinbo",
        "title": "Oishinbo",
        "title_ja": "美味しんぼ",
        "authors": ["Tetsu Kariya"],
        "genres": ["Seinen", "Gourmet"],
        "published_from": "1983",
    }
    assert found.score > 0


async def test_genres_filter(search: Search) -> None:
    assert await ids(search, "monster berserk", "gourmet") == []
    assert set(await ids(search, "gourmet food", "gourmet", "mystery")) <= {
        "food-wars",
        "oishinbo",
    }
    assert await ids(search, "gourmet", "seinen") == ["oishinbo"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(text="", excluded=frozenset({"gourmet"})), {"berserk", "monster"}),
        (Wanted(text="gourmet", excluded=frozenset({"seinen"})), {"food-wars"}),
        (Wanted(text="", genres=frozenset({"gourmet"})), {"food-wars", "oishinbo"}),
        (Wanted(text="", since=1980, until=1989), {"oishinbo"}),
        (Wanted(text="gourmet", since=1990), set()),
    ],
)
async def test_what_is_ruled_out_is_not_found(
    search: Search, wanted: Wanted, expected: set[str]
) -> None:
    assert {hit.id for hit in (await search.search(wanted, LONG)).hits} == expected


# --- the same filters have the same results ---

GENRES = ("Gourmet", "Mystery", "Horror", "Sports")
DATES = ("1984", "1984-12", "1989-12-31", "1990", "1999", "2010-05", None)
MANY = Catalogue(
    Title(
        f"t-{number:03}",
        f"Story {number}",
        genres=(GENRES[number % 4], GENRES[number % 3]),
        demographic=("Shonen" if number % 2 else "Seinen",),
        published_from=DATES[number % len(DATES)],
        popularity=(number * 37) % 101,
    )
    for number in range(280)
)
NARROWED = {
    "a year": Wanted(text="", since=1984, until=1984),
    "a decade": Wanted(text="", since=1980, until=1989),
    "since": Wanted(text="", since=2010),
    "until": Wanted(text="", until=1989),
    "no year at all": Wanted(text="", since=2000, until=1990),
    "without genres": Wanted(text="", excluded=frozenset({"gourmet", "shonen"})),
    "genres, years and none of one": Wanted(
        text="",
        genres=frozenset({"horror", "sports"}),
        excluded=frozenset({"mystery"}),
        since=1985,
        until=1999,
    ),
    "like one": Wanted(text="", like=comparison("t-001", MANY)),
    "like one, with words": Wanted(text="story", like=comparison("t-017", MANY), limit=20),
    "like one, of some years": Wanted(text="", like=comparison("t-002", MANY), since=1990),
    "like one, without what it is": Wanted(
        text="", like=comparison("t-003", MANY), excluded=frozenset({"shonen"}), limit=20
    ),
    "like what has no genre": Wanted(text="", like=Comparison("t-001", ())),
}


@pytest.mark.parametrize("what", NARROWED)
async def test_both_indexes_find_the_same_in_the_same_order(
    titles: OpenSearchTitles,
    client: AsyncOpenSearch,
    embeddings: BrokenEmbeddings,
    what: str,
) -> None:
    await titles.load(MANY, "many")
    wanted = NARROWED[what]
    there = await OpenSearchSearch(client, ALIAS, embeddings, GIST).search(wanted, LONG)
    here = await IndexSearch(MANY, WORDS, TABLE).search(wanted, LONG)
    assert [hit.id for hit in there.hits] == [hit.id for hit in here.hits]
    assert len(here.hits) == wanted.limit or not here.hits
    assert bool(here.hits) is (what not in {"no year at all", "like what has no genre"})
    for hit in here.hits:
        title = MANY.titles[hit.id]
        assert wanted.is_in_years(title.published_from)
        assert wanted.excluded.isdisjoint(genre_slugs(title))
        assert not wanted.genres or not wanted.genres.isdisjoint(genre_slugs(title))
        assert wanted.like is None or hit.id != wanted.like.title_id


async def test_a_rare_year_is_found_among_hundreds_that_fit_the_words_better(
    titles: OpenSearchTitles, client: AsyncOpenSearch, embeddings: BrokenEmbeddings
) -> None:
    crowd = [Title(f"n-{at}", "Gourmet", genres=("Gourmet",)) for at in range(300)]
    rare = Title("rare", "The long story of a gourmet", published_from="1961", popularity=0)
    await titles.load(Catalogue([*crowd, rare]), "crowd")
    search = OpenSearchSearch(client, ALIAS, embeddings, GIST)
    found = await search.search(Wanted(text="gourmet", since=1961, until=1961), LONG)
    assert [hit.id for hit in found.hits] == ["rare"]


async def test_what_has_most_in_common_is_found_first_and_never_the_title_itself(
    search: Search,
) -> None:
    like = comparison("oishinbo", Catalogue(TITLES))
    assert await like_ids(search, like) == ["food-wars"]
    seinen = Comparison("food-wars", (("seinen", 2.0), ("gourmet", 1.0), ("mystery", 0.5)))
    assert await like_ids(search, seinen) == ["oishinbo", "monster"]


async def like_ids(search: Search, like: Comparison) -> list[str]:
    return [hit.id for hit in (await search.search(Wanted(text="", like=like), LONG)).hits]


async def test_what_may_stand_in_no_list_is_not_found(search: Search) -> None:
    assert "hidden" not in await ids(search, "berserk nights")


async def test_the_limit_holds(search: Search) -> None:
    assert len(await ids(search, "gourmet berserk monster", limit=2)) == 2


async def test_nothing_is_found_for_what_nothing_resembles(search: Search) -> None:
    assert await ids(search, "zzzzqqqq") == []
    assert await ids(search, "!?") == []


@pytest.fixture(params=["index", "opensearch"])
def real(request: pytest.FixtureRequest) -> Search:
    if request.param == "index":
        return IndexSearch(Catalogue(TITLES), WORDS, TABLE)
    found: OpenSearchSearch = request.getfixturevalue("loaded")
    return found


@pytest.mark.parametrize("text", ["料理の漫画", "something with cooking", "グルメ"])
async def test_genres_are_found_by_the_words_of_both_languages(real: Search, text: str) -> None:
    assert set((await ids(real, text))[:2]) == {"food-wars", "oishinbo"}


@pytest.mark.parametrize("text", ["Bersrk", "urasawas monsters", "ベルセルグ"])
async def test_what_is_spelt_alike_is_found(real: Search, text: str) -> None:
    assert (await ids(real, text))[0] in {"berserk", "monster"}


# --- OpenSearch ---


async def test_without_vectors_words_are_found_and_it_is_said(
    loaded: OpenSearchSearch, embeddings: BrokenEmbeddings
) -> None:
    embeddings.fail = Transient("no embedding", dependency="bedrock-runtime")
    found = await loaded.search(Wanted(text="berserk"), LONG)
    assert [hit.id for hit in found.hits] == ["berserk"]
    assert found.is_partial


async def test_a_late_vector_costs_no_more_than_the_deadline(
    loaded: OpenSearchSearch, embeddings: BrokenEmbeddings
) -> None:
    await loaded.search(Wanted(text="berserk"), LONG)
    embeddings.takes = 1.01 * LONG
    found = await loaded.search(Wanted(text="berserk"), LONG)
    assert [hit.id for hit in found.hits] == ["berserk"]
    assert found.is_partial


async def test_missing_shards_are_told(loaded: OpenSearchSearch, emulator: RunningEmulator) -> None:
    emulator.inject(FaultRule(kind="partial", action="search", fraction=0.1))
    assert (await loaded.search(Wanted(text="berserk"), LONG)).is_partial


@pytest.mark.parametrize("kind", ["http500", "http503", "throttle", "access_denied"])
async def test_what_passes_is_transient(
    loaded: OpenSearchSearch, emulator: RunningEmulator, kind: str
) -> None:
    emulator.inject(FaultRule(kind=kind, action="search"))  # type: ignore[arg-type]
    with pytest.raises(Transient) as error:
        await loaded.search(Wanted(text="berserk"), LONG)
    assert error.value.dependency == "opensearch"
    assert "berserk" not in str(error.value)


async def test_the_deadline_holds(loaded: OpenSearchSearch, emulator: RunningEmulator) -> None:
    emulator.inject(FaultRule(kind="hang", action="search"))
    with pytest.raises(Transient):
        await loaded.search(Wanted(text="berserk"), 0.2)


async def test_one_dropped_connection_is_not_noticed(
    loaded: OpenSearchSearch, emulator: RunningEmulator
) -> None:
    emulator.inject(FaultRule(kind="reset", action="search", times=1))
    assert not (await loaded.search(Wanted(text="berserk"), LONG)).is_partial


async def test_a_missing_index_is_transient(
    client: AsyncOpenSearch, embeddings: BrokenEmbeddings
) -> None:
    with pytest.raises(Transient):
        await OpenSearchSearch(client, "absent", embeddings, GIST).search(Wanted(text="x"), LONG)


async def test_a_vector_of_another_length_is_permanently_wrong(
    client: AsyncOpenSearch, loaded: OpenSearchSearch
) -> None:
    other = OpenSearchSearch(client, ALIAS, NgramEmbeddings(0.1, 64), GIST)
    with pytest.raises(Permanent):
        await other._by_likeness(Wanted(text="berserk"), asyncio.get_running_loop().time() + LONG)


# --- loading ---


async def test_a_version_is_loaded_once(
    titles: OpenSearchTitles, emulator: RunningEmulator
) -> None:
    assert await titles.load(Catalogue(TITLES), "v1")
    before = emulator.calls()["opensearch"]["bulk"]
    assert not await titles.load(Catalogue(TITLES), "v1")
    assert emulator.calls()["opensearch"]["bulk"] == before


async def test_another_version_takes_the_place_of_the_one_before(
    client: AsyncOpenSearch, titles: OpenSearchTitles, loaded: OpenSearchSearch
) -> None:
    assert await titles.load(Catalogue(TITLES[1:]), "v2")
    assert "berserk" not in await ids(loaded, "berserk")
    assert not await client.indices.exists(index=index_name(ALIAS, "v1"))


async def test_a_load_that_failed_changes_nothing_and_is_done_again(
    client: AsyncOpenSearch,
    titles: OpenSearchTitles,
    loaded: OpenSearchSearch,
    emulator: RunningEmulator,
) -> None:
    emulator.inject(FaultRule(kind="partial", action="bulk", fraction=1.0))
    with pytest.raises(Transient, match="rejected_execution_exception"):
        await titles.load(Catalogue(TITLES[1:]), "v2")
    assert not await client.indices.exists(index=index_name(ALIAS, "v2"))
    assert await ids(loaded, "berserk") == ["berserk"]
    emulator.heal()
    assert await titles.load(Catalogue(TITLES[1:]), "v2")
    assert (await ids(loaded, "monster"))[0] == "monster"
    found = await loaded.search(Wanted(text="gourmet", limit=20), LONG)
    assert sorted(hit.id for hit in found.hits) == ["food-wars", "oishinbo"]


# --- in the process ---


async def test_titles_of_the_sample_catalogue_are_found_by_author_and_by_kind() -> None:
    sample = read_catalogue(Path(config.__file__).parent / "sample_catalogue.jsonl").catalogue
    index = IndexSearch(sample, WORDS, TABLE)
    assert (await ids(index, "尾田栄一郎の作品"))[0] == "one-piece"
    samurai = await ids(index, "something with samurai and swords")
    assert {"rurouni-kenshin", "vagabond"} <= {*samurai}


async def test_an_empty_catalogue_is_searched_too() -> None:
    assert await ids(IndexSearch(Catalogue(()), WORDS, TABLE), "berserk") == []
