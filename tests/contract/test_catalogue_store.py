"""The catalogue of all processes: the contract of `CatalogueStore`, and what DynamoDB adds."""

import random
from itertools import count

import pytest

from adapters.aws_clients import AwsClients
from adapters.dynamodb_catalogue import CHUNK_BYTES, DynamoDBCatalogue
from domain.catalogue import Catalogue
from domain.errors import Transient
from domain.ports import CatalogueStore
from tests.fakes import FakeCatalogueStore
from tests.samples import title

_tables = count()


@pytest.fixture
def table(aws: AwsClients) -> str:
    name = f"catalogue-{next(_tables)}"
    aws.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return name


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> CatalogueStore:
    if request.param == "fake":
        return FakeCatalogueStore()
    return DynamoDBCatalogue(request.getfixturevalue("aws"), request.getfixturevalue("table"))


def catalogue(*ids: str) -> Catalogue:
    return Catalogue([title(each) for each in ids])


def test_there_is_no_catalogue_before_the_first_import(store: CatalogueStore) -> None:
    assert store.version() is None
    with pytest.raises(Transient):
        store.load()


def test_a_published_catalogue_is_loaded_whole(store: CatalogueStore) -> None:
    published = catalogue("1", "2")
    assert store.publish(published)
    assert dict(store.load().titles) == dict(published.titles)


def test_the_same_catalogue_is_published_once(store: CatalogueStore) -> None:
    assert store.publish(catalogue("1"))
    version = store.version()
    assert not store.publish(catalogue("1"))
    assert store.version() == version


def test_a_catalogue_can_be_replaced_and_come_back(store: CatalogueStore) -> None:
    first, second = catalogue("1"), catalogue("2")
    versions = []
    for each in (first, second, first, second, catalogue("3"), first):
        assert store.publish(each)
        assert dict(store.load().titles) == dict(each.titles)
        assert store.load().version == store.version()
        versions.append(store.version())
    assert versions[0] == versions[2] == versions[5]


def test_a_reader_in_another_process_sees_the_new_catalogue(aws: AwsClients, table: str) -> None:
    writer, reader = DynamoDBCatalogue(aws, table), DynamoDBCatalogue(aws, table)
    writer.publish(catalogue("1"))
    assert reader.load() is reader.load()
    writer.publish(catalogue("2"))
    assert list(reader.load().titles) == ["2"]


def test_a_large_catalogue_is_cut_into_chunks_and_old_ones_are_deleted(
    aws: AwsClients, table: str
) -> None:
    chance = random.Random(1)
    store = DynamoDBCatalogue(aws, table)
    for _ in range(4):
        large = Catalogue(
            [title(str(at), aliases=(chance.randbytes(160).hex(),)) for at in range(4000)]
        )
        store.publish(large)
    assert len(DynamoDBCatalogue(aws, table).load()) == 4000
    pages = aws.dynamodb.get_paginator("scan").paginate(TableName=table)
    items = [item for page in pages for item in page["Items"]]
    assert len({item["pk"]["S"] for item in items}) == 3  # the pointer and two snapshots
    assert len(items) > 1 + 2 * 2
    assert 2 * CHUNK_BYTES < 4000 * 160


def test_a_snapshot_that_lost_a_chunk_is_not_loaded(aws: AwsClients, table: str) -> None:
    store = DynamoDBCatalogue(aws, table)
    store.publish(catalogue("1"))
    key = {"pk": {"S": f"snapshot#{store.version()}"}, "sk": {"S": "000000"}}
    aws.dynamodb.delete_item(TableName=table, Key=key)
    with pytest.raises(Transient):
        store.load()
