"""The classifier follows the catalogue, and the built-in answers follow the clock."""

from dataclasses import dataclass

import pytest

from domain.catalogue import Catalogue, Title
from domain.errors import Transient
from domain.events import Locale
from domain.questions import Question, QuestionKind
from serving.answers import BuiltInAnswers
from serving.canned import canned
from serving.catalogue_watch import CatalogueWatch
from serving.chat import Classify
from tests.model_fakes import FakeSearch
from tests.unit.serving.fakes import NOW, CountingRegistry


@dataclass
class Store:
    """Holds one catalogue; `imported` replaces it between the next look and the load after it."""

    catalogue: Catalogue | None
    imported: Catalogue | None = None
    is_broken: bool = False
    loads: int = 0

    def version(self) -> str | None:
        found = self.catalogue.version if self.catalogue is not None else None
        if self.imported is not None:
            self.catalogue, self.imported = self.imported, None
        return found

    def load(self) -> Catalogue:
        self.loads += 1
        if self.catalogue is None or self.is_broken:
            raise Transient("replaced while it was read")
        return self.catalogue

    def publish(self, catalogue: Catalogue) -> bool:
        raise NotImplementedError


def by_size(catalogue: Catalogue) -> Classify:
    def classify(message: str, locale: Locale | None) -> Question:
        return Question(QuestionKind.TITLE, str(len(catalogue)), locale or "en")

    return classify


def titles(count: int) -> Catalogue:
    """So many titles, as the version of that number."""
    rows = (Title(f"t{number}", f"T{number}", popularity=number) for number in range(count))
    return Catalogue(rows, str(count))


async def test_everything_is_chat_until_there_is_a_catalogue() -> None:
    registry, store_of_none = CountingRegistry(), Store(None)
    watch = CatalogueWatch(store_of_none, by_size, poll_seconds=1, titles=registry.gauge("n"))
    await watch.refresh()
    assert not watch.loaded()
    assert not watch.taken
    assert watch.classify("ワンピース", None) == Question(QuestionKind.CHAT, "", "ja")


async def test_a_newer_catalogue_replaces_the_classifier_and_what_it_had_answered() -> None:
    registry, source = CountingRegistry(), Store(titles(1))
    watch = CatalogueWatch(source, by_size, poll_seconds=1, titles=registry.gauge("n"))
    await watch.refresh()
    await watch.refresh()
    assert [watch.classify("T0", None).slug for _ in range(2)] == ["1", "1"]
    assert (source.loads, registry.sums["n",]) == (1, 1)
    source.catalogue = titles(2)
    await watch.refresh()
    assert watch.classify("T0", None).slug == "2"
    assert watch.catalogue is source.catalogue
    assert watch.taken == "2"


async def test_a_catalogue_that_cannot_be_read_leaves_the_one_before() -> None:
    source = Store(titles(1))
    watch = CatalogueWatch(source, by_size, poll_seconds=1, titles=CountingRegistry().gauge("n"))
    await watch.refresh()
    source.catalogue, source.is_broken = titles(2), True
    with pytest.raises(Transient):
        await watch.refresh()
    assert watch.classify("T0", None).slug == "1"


async def test_a_catalogue_that_is_imported_while_one_is_loaded_goes_by_its_own_version() -> None:
    source = Store(titles(1), imported=titles(2))
    watch = CatalogueWatch(source, by_size, poll_seconds=1, titles=CountingRegistry().gauge("n"))
    await watch.refresh()
    assert watch.classify("T0", None).slug == "2"
    assert watch.taken == "2"
    await watch.refresh()
    assert source.loads == 1, "it is there already"


async def test_an_import_that_is_taken_back_while_it_is_loaded_changes_nothing() -> None:
    source = Store(titles(1))
    watch = CatalogueWatch(source, by_size, poll_seconds=1, titles=CountingRegistry().gauge("n"))
    await watch.refresh()
    source.catalogue, source.imported = titles(2), titles(1)
    await watch.refresh()
    assert (watch.taken, watch.before, source.loads) == ("1", None, 2)


def test_the_built_in_answer_names_popular_titles_and_is_never_older_than_a_second() -> None:
    now = NOW
    built_in = BuiltInAnswers(lambda locale: canned(titles(20), locale), lambda: now)
    first = built_in.get("en")
    assert b'"T19"' in first.body
    assert built_in.get("en") is first
    now += 1
    assert built_in.get("en").generated_at == now
    assert canned(None, "ja").items == []


async def test_the_index_follows_the_catalogue_and_its_answers_say_which() -> None:
    store, built = Store(titles(1)), list[Catalogue]()

    def build(catalogue: Catalogue) -> FakeSearch:
        if len(built) == 1:
            built.append(catalogue)
            raise Transient("no memory")
        built.append(catalogue)
        return FakeSearch(*catalogue.titles.values())

    watch = CatalogueWatch(
        store,
        by_size,
        poll_seconds=1,
        titles=CountingRegistry().gauge("catalogue_titles"),
        build_search=build,
    )
    await watch.refresh()
    first = watch.search
    assert first is not None
    assert (watch.version, watch.taken, watch.before) == ("1", "1", None)
    store.catalogue = titles(2)
    with pytest.raises(Transient):
        await watch.refresh()
    assert watch.search is first, "the one before goes on"
    assert (watch.version, watch.before) == ("2 1", "1"), "no answer of it is one of the new"
    assert watch.taken == "1"
    await watch.refresh()
    assert watch.search is not first
    assert (watch.version, watch.taken, watch.before) == ("2", "2", "1")
    assert store.loads == 2
