"""Signed calls of one AWS service from an event loop.

Each call has one deadline for all of it; cancelling the caller, or leaving the `with`, ends it at
once. What is called this way changes nothing: a call whose connection was dropped before any
answer, as happens to idle ones, is made once more. Uses no proxy.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp
import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError
from yarl import URL

from adapters.aws_clients import CONNECT_SECONDS, POOL_CONNECTIONS, Access, AwsClients
from adapters.aws_errors import meaning, meaning_of_code
from adapters.aws_tls import tls
from domain.errors import MangaAssistError, Transient

KEEPALIVE_SECONDS = 60.0
DNS_SECONDS = 60
MAX_ERROR_BYTES = 64 * 1024
JSON = "application/json"


class _Document(msgspec.Struct):
    """The name of an error where no header gives it."""

    type_: str = msgspec.field(default="", name="__type")
    code: str = ""


class AwsHttp:
    """One service. Belongs to the event loop of its first call."""

    def __init__(self, aws: AwsClients, service: str) -> None:
        self.service = service
        self._aws = aws
        self._access: Access | None = None
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def post(
        self,
        operation: str,
        path: str,
        body: bytes,
        *,
        deadline: float,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a POST, its body unread; `path` is quoted, `deadline` in the loop's time.

        Raises Transient or Permanent. An answer that is not read to its end closes its connection.
        """
        async with timely(deadline, self.service):
            response = await self._answered(path, body, {"Content-Type": JSON, **(headers or {})})
        try:
            if response.status != HTTPStatus.OK:
                async with timely(deadline, self.service):
                    raise await self._refusal(response, operation)
            yield response
        finally:
            response.close()  # does nothing to a connection whose answer was read to its end

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _answered(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        try:
            return await self._send(path, body, headers)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if isinstance(error, aiohttp.ClientConnectorError):
                raise
            return await self._send(path, body, headers)

    async def _send(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        session, access = await self._opened()
        url = access.endpoint.rstrip("/") + path
        signed = await self._signed(access, url, body, headers)
        return await session.post(
            URL(url, encoded=True), data=body, headers=signed, allow_redirects=False
        )

    async def _opened(self) -> tuple[aiohttp.ClientSession, Access]:
        async with self._opening:
            if self._access is None:
                try:
                    self._access = await asyncio.to_thread(self._aws.access, self.service)
                except BotoCoreError as error:
                    raise meaning(error, self.service) from error
            if self._session is None:
                is_plain = not self._access.endpoint.startswith("https:")
                self._session = _session(True if is_plain else await asyncio.to_thread(tls))
            return self._session, self._access

    async def _signed(
        self, access: Access, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        if access.credentials is None:
            raise Transient(f"{self.service}: there are no credentials", dependency=self.service)
        try:
            frozen = await _frozen(access.credentials)
        except BotoCoreError as error:
            raise meaning(error, self.service) from error
        request = AWSRequest(method="POST", url=url, data=body, headers=dict(headers))
        SigV4Auth(frozen, access.signing_name, access.region).add_auth(request)
        return dict(request.headers.items())

    async def _refusal(self, response: aiohttp.ClientResponse, operation: str) -> MangaAssistError:
        body = await _beginning(response)  # read to its end, so that the connection stays usable
        code = response.headers.get("x-amzn-errortype", "").partition(":")[0]
        if not code:
            try:
                named = msgspec.json.decode(body, type=_Document)
                code = named.type_ or named.code
            except msgspec.DecodeError:
                code = str(response.status)
        return meaning_of_code(code.rpartition("#")[2], self.service, operation)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) < MAX_ERROR_BYTES and (part := await response.content.readany()):
        body += part
    return body


@asynccontextmanager
async def timely(deadline: float, service: str) -> AsyncIterator[None]:
    """Raise Transient where this takes longer, or where the connection fails meanwhile."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise Transient(f"{service} did not answer in time", dependency=service) from error
    except (aiohttp.ClientError, OSError) as error:
        what = f"{service} does not answer: {type(error).__name__}"
        raise Transient(what, dependency=service) from error


async def _frozen(credentials: Credentials) -> ReadOnlyCredentials:
    """The credentials of this moment; only those that must be fetched anew need a thread."""
    if isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed():
        return await asyncio.to_thread(credentials.get_frozen_credentials)
    return credentials.get_frozen_credentials()


def _session(context: ssl.SSLContext | bool) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=POOL_CONNECTIONS,
            ttl_dns_cache=DNS_SECONDS,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ssl=context,
        ),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        auto_decompress=False,
    )
