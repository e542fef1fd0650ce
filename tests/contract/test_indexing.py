"""`mangaassist index`: from the catalogue in DynamoDB to an index that is searched."""

import asyncio
from pathlib import Path

import pytest

import emulators
from adapters.aws_clients import AwsClients
from adapters.aws_http import AwsHttp
from adapters.bedrock_embeddings import SERVICE, BedrockEmbeddings
from adapters.dynamodb_catalogue import DynamoDBCatalogue
from adapters.opensearch_client import opensearch
from adapters.opensearch_search import OpenSearchSearch
from cli import indexing
from cli.failures import Failure
from config import models
from config.settings import Settings
from domain.catalogue import Catalogue, Title
from domain.gist import Gist
from domain.search import Found, Wanted

GIST = Gist((), ())
TITLES = Catalogue([Title("monster", "Monster"), Title("pluto", "Pluto")])


async def found(url: str, text: str) -> Found:
    aws = AwsClients()
    http, client = AwsHttp(aws, SERVICE), opensearch(url, aws)
    embeddings = BedrockEmbeddings(http, models.declared().embedding)
    try:
        search = OpenSearchSearch(client, Settings().opensearch_alias, embeddings, GIST)
        return await search.search(Wanted(text=text), 30.0)
    finally:
        await client.close()
        await http.close()


def test_what_is_imported_is_found(
    aws: AwsClients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    DynamoDBCatalogue(aws, Settings().catalogue_table).publish(TITLES)
    with emulators.run_in_thread("bedrock", "opensearch") as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", emulator.url)
        monkeypatch.setenv("MANGAASSIST_OPENSEARCH_URL", emulator.url)
        indexing.run(None)
        indexing.run(None)
        assert capsys.readouterr().out.split() == [
            "mangaassist-titles:", "loaded", "mangaassist-titles:", "as", "before"
        ]  # fmt: skip
        hits = asyncio.run(found(emulator.url, "pluto"))
        assert hits.hits[0].id == "pluto"
        assert not hits.is_partial


def test_without_a_server_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MANGAASSIST_LOG_LEVEL", "INFO")
    with pytest.raises(Failure, match="MANGAASSIST_OPENSEARCH_URL"):
        indexing.run(None)
