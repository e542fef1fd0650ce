"""Looks at the way to each service: its name, a connection, TLS, and a signed request.

The address is the one that the SDK would call. The request is a signed `GET /`, which every service
answers in some way, needs no rights, costs nothing and changes nothing. Every step has a time limit
but the name: that one is the system resolver's. Needs ec2:DescribeVpcEndpoints for the ids.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError

from adapters.aws_clients import Access, AwsClients
from adapters.aws_errors import meaning, translated
from adapters.aws_tls import tls
from adapters.opensearch_address import signing_name
from config.endpoints import Endpoints
from domain.endpoint_health import Probe

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import FilterTypeDef

OPENSEARCH = "opensearch"
"""The one service whose address is a setting of ours."""
THREADS = 8
PORTS = {"http": 80, "https": 443}

Resolver = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as the system gives them; raises OSError."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("not a name that can be looked up") from error
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


class EndpointProbe:
    """Implements `domain.ports.EndpointLooks`."""

    def __init__(
        self,
        aws: AwsClients,
        table: Endpoints,
        opensearch_url: str,
        resolver: Resolver = resolve,
        context: Callable[[], ssl.SSLContext] = tls,
    ) -> None:
        self._aws = aws
        self._table = table
        self._opensearch_url = opensearch_url
        self._resolver = resolver
        self._context = context

    def probe(self) -> Sequence[Probe]:
        """A look at every watched service, all at the same time; a failure is what it found."""
        services = [
            name for name in self._table.services if name != OPENSEARCH or self._opensearch_url
        ]
        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(self._probe, services))

    def endpoint_ids(self) -> Mapping[str, str]:
        """The VPC endpoints of this account and region that are available, by service."""
        _, region = self._aws.identity()
        names = {row.vpc_name(region): name for name, row in self._table.services.items()}
        filters: Sequence[FilterTypeDef] = [
            {"Name": "service-name", "Values": list(names)},
            {"Name": "vpc-endpoint-state", "Values": ["available"]},
        ]
        found: dict[str, str] = {}
        with translated("ec2"):
            pages = self._aws.ec2.get_paginator("describe_vpc_endpoints")
            for page in pages.paginate(Filters=filters):
                for row in page["VpcEndpoints"]:
                    found.setdefault(names[row["ServiceName"]], row["VpcEndpointId"])
        return found

    def _probe(self, service: str) -> Probe:
        try:
            access = self._access(service)
        except BotoCoreError as error:
            return Probe(service=service, host="", port=0, failed=str(meaning(error, service)))
        url = urlsplit(access.endpoint)
        port = url.port or PORTS.get(url.scheme, 0)
        look = _Look(access, url, port, self._table.timeout_seconds)
        with suppress(_Failed):
            look.resolve(self._resolver)
            look.call(self._context)
        return Probe(
            service=service,
            host=url.hostname or "",
            port=port,
            addresses=tuple(look.addresses),
            call_status=look.status,
            failed=look.failed,
            **look.took,
        )

    def _access(self, service: str) -> Access:
        if service != OPENSEARCH:
            return self._aws.access(service)
        credentials, region = self._aws.identity()
        name = signing_name(self._opensearch_url)
        signed_by = credentials if name else None
        return Access(service, self._opensearch_url, region, name or "", signed_by)


class _Failed(Exception):  # noqa: N818 - how a look ends, not an error of ours
    """A step did not succeed; the look has noted which, and why."""


class _Look:
    """One look under way, and what it has found so far."""

    def __init__(self, access: Access, url: SplitResult, port: int, timeout: float) -> None:
        self.addresses: Sequence[str] = ()
        self.took: dict[str, float] = {}
        self.status: int | None = None
        self.failed = ""
        self._access = access
        self._url = url
        self._host = url.hostname or ""
        self._port = port
        self._timeout = timeout

    def resolve(self, resolver: Resolver) -> None:
        """Look the name up."""
        with self._step("dns_ms", "name"):
            self.addresses = resolver(self._host, self._port)
            if not self.addresses:
                raise OSError("it has no address")

    def call(self, context: Callable[[], ssl.SSLContext]) -> None:
        """Connect, shake hands, and send a signed request where there are credentials."""
        with ExitStack() as opened:
            with self._step("connect_ms", "connection"):
                connection: socket.socket = opened.enter_context(self._connected())
            connection.settimeout(self._timeout)
            if self._url.scheme == "https":
                with self._step(None, "TLS"):
                    trusted = context()
                with self._step("tls_ms", "TLS"):
                    connection = trusted.wrap_socket(connection, server_hostname=self._host)
                opened.enter_context(connection)
            if self._access.credentials is not None:
                with self._step(None, "signed request"):
                    headers = self._signed(self._access.credentials)
                with self._step("call_ms", "signed request"):
                    self.status = self._answered(connection, headers)

    def _connected(self) -> socket.socket:
        """To the first address that accepts, within the time for one."""
        end = time.monotonic() + self._timeout
        for number, address in enumerate(self.addresses, 1):
            left = max(end - time.monotonic(), 0.001)
            try:
                return socket.create_connection((address, self._port), timeout=left)
            except OSError:
                if number == len(self.addresses):
                    raise
        raise OSError("it has no address")

    def _signed(self, credentials: Credentials) -> Mapping[str, str]:
        url = f"{self._url.scheme}://{self._netloc()}/"
        request = AWSRequest(method="GET", url=url, headers={"Host": self._netloc()})
        frozen = credentials.get_frozen_credentials()
        SigV4Auth(frozen, self._access.signing_name, self._access.region).add_auth(request)
        return dict(request.headers.items())

    def _answered(self, connection: socket.socket, headers: Mapping[str, str]) -> int:
        client = http.client.HTTPConnection(self._host, self._port)
        client.sock = connection
        client.request("GET", "/", headers=headers)
        return client.getresponse().status

    def _netloc(self) -> str:
        """Without what stands before an @, and as a URL writes an IPv6 address."""
        return self._url.netloc.rpartition("@")[2]

    @contextmanager
    def _step(self, name: str | None, what: str) -> Iterator[None]:
        """Time it under this name, if it has one, and note how it failed."""
        began = time.perf_counter()
        try:
            yield
        except (OSError, http.client.HTTPException, BotoCoreError) as error:
            self.failed = f"{what} failed: {_reason(error)}"
            raise _Failed from error
        if name is not None:
            self.took[name] = (time.perf_counter() - began) * 1000


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, TimeoutError):
        return "it took too long"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
