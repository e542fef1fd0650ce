"""Looks at endpoints: a real TLS server on this machine, names as a test gives them, and moto."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.aws_clients import AwsClients
from adapters.cloudwatch_health import CloudWatchHealth
from adapters.endpoint_probe import EndpointProbe, Resolver, resolve
from config import endpoints
from config.endpoints import Endpoints
from domain.endpoint_health import Health, Probe, Status
from domain.errors import Transient
from tasks.endpoints import health_of
from tests.chat_bench import CREDENTIALS, ClientsAt
from tests.ports import free_port

HOST = "logs.test"
LOOPBACK = "127.0.0.1"


class Server(ThreadingHTTPServer):
    """Answers every GET with 400, and keeps the headers."""

    daemon_threads = True
    seen: list[dict[str, str]]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate goes away: expected."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server((LOOPBACK, 0), Handler)
    server.seen = []
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(directory: Path, name: str = HOST) -> Path:
    """A certificate of its own authority and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path)


@pytest.fixture
def tls_server(pem: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with serving(context) as server:
        yield server


Looking = Callable[..., Probe]


@pytest.fixture
def look(pem: Path) -> Looking:
    """A look at the service `logs` at a URL, with a resolver of the test's own."""

    def at(
        url: str,
        resolver: Resolver = lambda host, port: [LOOPBACK],
        context: Callable[[], ssl.SSLContext] | None = None,
        timeout: float = 10.0,
        credentials: Credentials | None = CREDENTIALS,
    ) -> Probe:
        trusting = context or (lambda: ssl.create_default_context(cafile=str(pem)))
        clients = ClientsAt(url, credentials)
        looks = EndpointProbe(clients, table("logs", timeout), "", resolver, trusting)
        return looks.probe()[0]

    return at


def table(service: str, timeout: float = 10.0) -> Endpoints:
    shipped = endpoints.load()
    services = {service: shipped.services[service]}
    return Endpoints(namespace="Test/Endpoints", timeout_seconds=timeout, services=services)


def url_of(server: Server) -> str:
    return f"https://{HOST}:{server.server_port}"


def test_every_step_is_timed_and_the_request_is_signed(look: Looking, tls_server: Server) -> None:
    found = look(url_of(tls_server))
    assert (found.host, found.port, found.failed) == (HOST, tls_server.server_port, "")
    assert list(found.addresses) == [LOOPBACK]
    for taken in (found.dns_ms, found.connect_ms, found.tls_ms, found.call_ms):
        assert taken is not None
        assert taken > 0
    assert found.call_status == 400
    headers = tls_server.seen[0]
    assert headers["host"] == f"{HOST}:{tls_server.server_port}"
    assert "/ap-northeast-1/logs/aws4_request" in headers["authorization"]


def test_plain_http_has_no_tls_to_time(look: Looking) -> None:
    with serving() as server:
        found = look(f"http://{HOST}:{server.server_port}")
    assert found.failed == ""
    assert found.tls_ms is None
    assert found.call_status == 400


def test_without_credentials_nothing_is_sent(look: Looking, tls_server: Server) -> None:
    found = look(url_of(tls_server), credentials=None)
    assert found.failed == ""
    assert found.tls_ms is not None
    assert found.call_ms is None
    assert not tls_server.seen


def test_a_name_that_nobody_knows_is_unhealthy(look: Looking) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    found = look("https://nowhere.test", unknown)
    assert found.failed == "name failed: Name or service not known"
    assert found.dns_ms is None
    assert found.reach is None


def test_a_name_without_an_address_is_unhealthy(look: Looking) -> None:
    assert look("https://empty.test", lambda host, port: []).failed.startswith("name failed")


def test_a_closed_port_is_unhealthy_and_its_name_was_timed(look: Looking) -> None:
    found = look(f"https://{HOST}:{free_port()}")
    assert found.failed == "connection failed: Connection refused"
    assert found.dns_ms is not None
    assert found.connect_ms is None


def test_the_next_address_is_tried_where_the_first_refuses(
    look: Looking, tls_server: Server
) -> None:
    found = look(url_of(tls_server), lambda host, port: ["::1", LOOPBACK])
    assert found.failed == ""


def test_a_certificate_of_nobody_we_trust_is_unhealthy(look: Looking, tls_server: Server) -> None:
    found = look(url_of(tls_server), context=ssl.create_default_context)
    assert found.failed.startswith("TLS failed: self")
    assert found.connect_ms is not None
    assert not tls_server.seen


def test_a_bundle_that_cannot_be_read_is_what_was_found(look: Looking, tls_server: Server) -> None:
    found = look(
        url_of(tls_server), context=lambda: ssl.create_default_context(cafile="/absent.pem")
    )
    assert found.failed == "TLS failed: No such file or directory"


def test_a_certificate_for_another_name_is_unhealthy(look: Looking, tls_server: Server) -> None:
    found = look(f"https://other.test:{tls_server.server_port}")
    assert "TLS failed: Hostname mismatch" in found.failed


def test_a_server_without_tls_is_unhealthy(look: Looking) -> None:
    with serving() as server:
        assert look(f"https://{HOST}:{server.server_port}").failed.startswith("TLS failed")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing_costs_no_more_than_the_limit(
    look: Looking, scheme: str
) -> None:
    with ExitStack() as opened:
        listener = opened.enter_context(socket.create_server((LOOPBACK, 0)))
        found = look(f"{scheme}://{HOST}:{listener.getsockname()[1]}", timeout=1.0)
    step = "TLS" if scheme == "https" else "signed request"
    assert found.failed == f"{step} failed: it took too long"


def test_the_systems_resolver_gives_each_address_once() -> None:
    assert resolve(LOOPBACK, 443) == [LOOPBACK]
    with pytest.raises(OSError, match="not a name"):
        resolve("x" * 70, 443)


def test_opensearch_is_looked_at_where_a_setting_names_it(pem: Path) -> None:
    looks = EndpointProbe(AwsClients(), table("opensearch"), "")
    assert looks.probe() == []
    with serving() as server:
        url = f"http://user:secret@{HOST}:{server.server_port}"
        found = EndpointProbe(
            AwsClients(), table("opensearch"), url, lambda host, port: [LOOPBACK]
        ).probe()[0]
    assert found.failed == ""
    assert found.call_ms is None
    assert "secret" not in repr(found)


def test_the_watched_services_are_ones_that_the_sdk_knows(aws: AwsClients) -> None:
    for name in endpoints.load().services.keys() - {"opensearch"}:
        assert aws.access(name).endpoint.startswith("http://127.0.0.1:")


@pytest.mark.usefixtures("warm_moto")
def test_an_embedded_stack_is_healthy(aws: AwsClients) -> None:
    patient = msgspec.structs.replace(endpoints.load(), timeout_seconds=60)
    healths = health_of(EndpointProbe(aws, patient, ""))
    assert [health.status for health in healths] == [Status.HEALTHY] * 8


@pytest.mark.usefixtures("warm_moto")
def test_vpc_endpoints_are_found_by_service(aws: AwsClients) -> None:
    looks = EndpointProbe(aws, endpoints.load(), "")
    vpc = aws.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = {}
    for service, kind in (("logs", "Interface"), ("s3", "Gateway")):
        answer = aws.ec2.create_vpc_endpoint(
            VpcId=vpc,
            ServiceName=f"com.amazonaws.ap-northeast-1.{service}",
            VpcEndpointType=kind,  # type: ignore[arg-type]
        )
        made[service] = answer["VpcEndpoint"]["VpcEndpointId"]
    assert looks.endpoint_ids() == made


def test_what_was_measured_is_reported_and_nothing_else(aws: AwsClients) -> None:
    reports = CloudWatchHealth(aws, "Test/Endpoints")
    healthy = Probe(service="logs", host="h", port=1, addresses=("10.0.0.1",), dns_ms=1.5)
    failed = Probe(service="sqs", host="h", port=1, failed="name failed")
    reports.put(
        [
            Health(healthy, Status.DEGRADED, (), ""),
            Health(failed, Status.UNHEALTHY, (), ""),
        ]
    )
    rows = aws.cloudwatch.list_metrics(Namespace="Test/Endpoints")["Metrics"]
    named = {(row["Dimensions"][0]["Value"], row["MetricName"]) for row in rows}
    assert named == {
        ("logs", "EndpointHealth"),
        ("logs", "IsPrivateIP"),
        ("logs", "DNSResolutionLatency"),
        ("sqs", "EndpointHealth"),
    }


def test_reports_that_are_not_taken_are_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", f"http://{LOOPBACK}:{free_port()}")
    reports = CloudWatchHealth(AwsClients(), "Test/Endpoints")
    probe = Probe(service="logs", host="h", port=1)
    with pytest.raises(Transient):
        reports.put([Health(probe, Status.HEALTHY, (), "")])
