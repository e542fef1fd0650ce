"""The model path of a serving process put together; other rooms give it its `ModelParts`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from adapters.ngram_embeddings import NgramEmbeddings
from adapters.redis_kept import KeptRedis
from adapters.redis_serving_responses import ServingResponses
from config import guardrails, response_cache, reviewed_questions, search, texts
from config.budgets import Budgets
from config.models import Models
from config.response_cache import ResponseCacheTable
from config.search import SearchTable
from domain.catalogue import Catalogue
from domain.comparisons import Comparisons
from domain.gist import Gist
from domain.going_on import GoingOn
from domain.narrowing import Narrowing
from domain.questions import QuestionKind
from domain.routing import Size
from domain.search import Search, Wanted
from serving.catalogue_watch import CatalogueWatch
from serving.generating import Generating, ModelsBySize
from serving.generation_meters import GenerationMeters
from serving.ladder import Ladder
from serving.meters import Meters
from serving.model_turns import ModelPath, ReadsContexts
from serving.outbox import EventSink, Producer
from serving.registry import Registry
from serving.response_cache import over_redis
from serving.response_scope import ResponseScope
from serving.response_store import Wire
from serving.similar_questions import SimilarQuestions
from serving.similarity_meters import SimilarityMeters
from serving.spending import Allowances
from serving.warming import FIRST_SECONDS, WarmUp

WARM_UP = Wanted(text="manga", limit=1)
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParts:
    """The models and the search of a process; `close` ends their connections."""

    models: ModelsBySize
    table: Models
    build_search: Callable[[Catalogue], Search]
    wire: Wire
    pseudonym: Callable[[str], str]
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the model path shares with the other routes."""

    bulk: KeptRedis
    shards: int
    watch: CatalogueWatch
    contexts: ReadsContexts
    sink: EventSink
    producer: Producer
    meters: Meters
    clock: Callable[[], float]


def put_together(
    parts: ModelParts,
    budgets: Budgets,
    registry: Registry,
    shared: Shared,
    table: ResponseCacheTable | None = None,
) -> ModelPath:
    """The path over these parts, its cache as the tables (or this one) declare it."""
    table = table or response_cache.declared()
    counted = GenerationMeters(registry, shared.meters)
    cache = over_redis(
        shared.bulk,
        shards=shared.shards,
        wire=parts.wire,
        sink=shared.sink,
        producer=shared.producer,
        registry=registry,
        clock=shared.clock,
        table=table,
    )
    generating = Generating(
        search=lambda: shared.watch.search,
        catalogue=lambda: shared.watch.catalogue,
        models=parts.models,
        table=parts.table,
        limit=search.declared().limit,
        max_chars=guardrails.declared().max_chars,
        budget=budgets.routes["generation"],
        meters=counted,
        narrow=narrowing(search.declared(), comparisons(shared.watch)).of,
        goes_on=going_on(search.declared()),
    )
    return ModelPath(
        generating=generating,
        cache=cache,
        contexts=shared.contexts,
        scope=ResponseScope(
            own_words=table.own_words_pattern,
            pseudonym=parts.pseudonym,
            model_of=generating.model_of,
            prompt_version=str(parts.table.prompt_version),
            catalogue=lambda: shared.watch.version,
        ),
        ladder=Ladder(
            rungs=budgets.routes["chat"].ladder,
            cache=cache,
            catalogue=lambda: shared.watch.catalogue,
            before=lambda: shared.watch.before,
            phrases=texts.declared(),
        ),
        budgets=budgets,
        history_turns=parts.table.history_turns,
        meters=counted,
        allowances=Allowances(parts.table.spending),
        similar=_similar(table, registry, shared),
        under_way=set(),
    )


def going_on(table: SearchTable) -> GoingOn:
    """Tells which questions go on from what was said before, as the table declares it."""
    back = table.going_on
    return GoingOn(back.latin, back.japanese, subject(table))


def narrowing(table: SearchTable, comparing: Comparisons | None) -> Narrowing:
    """Finds what questions rule out, as the table declares it."""
    return Narrowing(search.genre_words, comparing, moods=table.moods, gist=subject(table))


def subject(table: SearchTable) -> Gist:
    """Leaves of a question what is neither said around a wish nor asks."""
    around, asking = table.stop_words, table.asking
    return Gist((*around.latin, *asking.latin), (*around.japanese, *asking.japanese))


def comparisons(watch: CatalogueWatch) -> Comparisons:
    """Finds which title of the catalogue of the moment a question compares with."""

    def title_named(text: str) -> str | None:
        question = watch.classify(text, None)
        return question.slug if question.kind is QuestionKind.TITLE else None

    return Comparisons(title_named, lambda: watch.catalogue)


def _similar(
    table: ResponseCacheTable, registry: Registry, shared: Shared
) -> SimilarQuestions | None:
    """What finds similar questions; None while the switch is off."""
    similarity = table.similarity
    if not similarity.enabled:
        return None
    return SimilarQuestions(
        table=similarity,
        questions=reviewed_questions.declared().by_locale(),
        embeds=NgramEmbeddings(similarity.threshold, similarity.dimensions),
        classify=shared.watch.classify,
        tally=ServingResponses(
            shared.bulk, shards=shared.shards, lease_seconds=table.lease_seconds
        ),
        meters=SimilarityMeters(registry),
    )


def warm_ups(parts: ModelParts, watch: CatalogueWatch) -> Mapping[str, WarmUp]:
    """What keeps the index and the connections to the models warm, by dependency."""

    async def titles() -> None:
        while (found := watch.search) is None:  # noqa: ASYNC110 - made in a thread
            await asyncio.sleep(LOOK_SECONDS)
        await found.search(WARM_UP, FIRST_SECONDS)

    def model(size: Size) -> WarmUp:
        return lambda: parts.models.of(size).warm(FIRST_SECONDS)

    return {"search": titles, **{f"model-{size}": model(size) for size in Size}}
