"""The composition of what answers questions with a model: chat models and the search for titles.

It opens no socket; every client connects at its first call and belongs to that event loop.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.aws_clients import AwsClients
from adapters.aws_http import AwsHttp
from adapters.bedrock_embeddings import SERVICE, BedrockEmbeddings
from adapters.chat_models import ChatModels
from adapters.index_search import IndexSearch
from adapters.opensearch_client import opensearch
from adapters.opensearch_search import OpenSearchSearch
from config import models, search
from config.models import Models
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.gist import Gist
from domain.search import Search


@dataclass(frozen=True, slots=True)
class ModelConnection:
    """The models, and the search over a catalogue: an index in OpenSearch is the same for all."""

    models: ChatModels
    table: Models
    build_search: Callable[[Catalogue], Search]
    close: Callable[[], Awaitable[None]]


def connect_models(settings: Settings, aws: AwsClients | None = None) -> ModelConnection:
    """The models and the search that these settings name; raises ConfigError."""
    aws = aws or AwsClients()
    table = models.chosen(models.declared(), settings.small_model, settings.large_model)
    chat_models = ChatModels(aws, table)
    if settings.opensearch_url:
        return _over_opensearch(settings, aws, table, chat_models)
    return ModelConnection(
        chat_models,
        table,
        lambda catalogue: IndexSearch(catalogue, search.genre_words, search.declared()),
        chat_models.close,
    )


def _over_opensearch(
    settings: Settings, aws: AwsClients, table: Models, chat_models: ChatModels
) -> ModelConnection:
    http, stop_words = AwsHttp(aws, SERVICE), search.declared().stop_words
    client = opensearch(settings.opensearch_url, aws)
    found = OpenSearchSearch(
        client,
        settings.opensearch_alias,
        BedrockEmbeddings(http, table.embedding),
        Gist(stop_words.latin, stop_words.japanese),
    )

    async def close() -> None:
        await chat_models.close()
        await client.close()
        await http.close()

    return ModelConnection(chat_models, table, lambda _catalogue: found, close)
