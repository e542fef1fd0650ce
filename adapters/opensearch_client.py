"""The OpenSearch client of an event loop, and what its errors mean for the caller.

A domain (…es.amazonaws.com) or a collection (…aoss.amazonaws.com) is called with signatures, any
other server with what its URL says before the @. Transient: no answer, 429, 5xx, missing rights and
a missing index, which a person mends. Permanent: the request itself is wrong.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from opensearchpy import AsyncHttpConnection, AsyncOpenSearch, AWSV4SignerAsyncAuth
from opensearchpy.exceptions import OpenSearchException, RequestError, TransportError

from adapters.aws_clients import POOL_CONNECTIONS, AwsClients
from adapters.opensearch_address import signing_name
from domain.errors import Permanent, Transient

SERVICE = "opensearch"


def opensearch(url: str, aws: AwsClients) -> AsyncOpenSearch:
    """A client that opens nothing before its first call; reads files where calls are signed."""
    name = signing_name(url)
    return AsyncOpenSearch(
        hosts=[url],
        connection_class=AsyncHttpConnection,
        maxsize=POOL_CONNECTIONS,
        # once more where an idle connection had been closed meanwhile
        max_retries=1,
        retry_on_timeout=False,
        retry_on_status=(),
        http_auth=None if name is None else _signer(aws, name),
    )


def _signer(aws: AwsClients, name: str) -> AWSV4SignerAsyncAuth:
    credentials, region = aws.identity()
    if credentials is None:
        raise Transient(f"{SERVICE}: there are no credentials", dependency=SERVICE)
    return AWSV4SignerAsyncAuth(credentials, region, name)


@asynccontextmanager
async def translated(deadline: float) -> AsyncIterator[None]:
    """Raise Transient or Permanent instead of what the client raises, Transient at the deadline."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise Transient("opensearch did not answer in time", dependency=SERVICE) from error
    except OpenSearchException as error:
        raise _meaning(error) from error


def _meaning(error: OpenSearchException) -> Transient | Permanent:
    status = error.status_code if isinstance(error, TransportError) else "N/A"
    if isinstance(error, RequestError) or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Permanent(f"opensearch refuses a request with {status}")
    if isinstance(status, int):
        return Transient(f"opensearch answers with {status}", dependency=SERVICE)
    what = f"opensearch does not answer: {type(error).__name__}"
    return Transient(what, dependency=SERVICE)
