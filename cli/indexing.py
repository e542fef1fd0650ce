"""`mangaassist index`: puts the current catalogue into OpenSearch, with vectors of its texts."""

import asyncio
from hashlib import sha256
from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.aws_http import AwsHttp
from adapters.bedrock_embeddings import SERVICE, BedrockEmbeddings
from adapters.dynamodb_catalogue import DynamoDBCatalogue
from adapters.opensearch_client import opensearch
from adapters.opensearch_titles import OpenSearchTitles
from cli import output, progress
from cli.failures import Failure
from cli.target import aim
from config import models
from config.models import Embedding
from config.search import genre_words
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.errors import MangaAssistError, Transient


def run(data_dir: Path | None) -> None:
    """Load what is not there yet; raises Failure where it cannot be."""
    settings = aim(data_dir).settings
    if not settings.opensearch_url:
        raise Failure(
            "MANGAASSIST_OPENSEARCH_URL is not set: titles are searched in the process, "
            "which needs no index"
        )
    try:
        is_new = asyncio.run(_load(settings))
    except MangaAssistError as error:
        raise Failure(str(error)) from error
    output.line(f"{settings.opensearch_alias}: " + ("loaded" if is_new else "as before"))


async def _load(settings: Settings) -> bool:
    aws = AwsClients()
    store = DynamoDBCatalogue(aws, settings.catalogue_table)
    catalogue, version = await asyncio.to_thread(_current, store)
    http = AwsHttp(aws, SERVICE)
    client = opensearch(settings.opensearch_url, aws)
    embedding = models.declared().embedding
    titles = OpenSearchTitles(
        client,
        settings.opensearch_alias,
        BedrockEmbeddings(http, embedding),
        genre_words,
    )
    try:
        with progress.shown("titles") as advance:
            return await titles.load(catalogue, _version(version, embedding), advance)
    finally:
        await client.close()
        await http.close()


def _current(store: DynamoDBCatalogue) -> tuple[Catalogue, str]:
    """The catalogue and its version, which must not change in between."""
    version = store.version()
    catalogue = store.load()
    if version is None or version != store.version():
        raise Transient("another catalogue is being imported: run it again")
    return catalogue, version


def _version(catalogue: str, embedding: Embedding) -> str:
    """What the content of an index depends on: vectors of two models must not meet in one."""
    parts = f"{catalogue}:{embedding.id}:{embedding.dimensions}"
    return sha256(parts.encode()).hexdigest()
