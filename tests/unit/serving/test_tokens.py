"""Bearer tokens: one way to be right, and many to be wrong."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from serving.keys import KeySet, parse
from serving.problems import Problem
from serving.tokens import NOBODY, Caller, Gate

ISSUER, AUDIENCE = "https://issuer.test", "mangaassist"

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(65537, 2048)
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: Any, **fields: object) -> dict[str, object]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key)), "use": "sig", **fields}


JWKS = json.dumps(
    {"keys": [jwk(RSA.public_key(), kid="r", alg="RS256"), jwk(EC.public_key(), kid="e")]}
).encode()


def now(seconds: int = 0) -> int:
    """So many seconds from now; asked when a test runs, which may be long after its collection."""
    return int(time.time()) + seconds


def claims_of_alice() -> dict[str, object]:
    return {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now(600), "iat": now(),
        "scope": "chat events:write",
    }  # fmt: skip


def sign(
    key: Any = RSA, algorithm: str = "RS256", *, header: dict[str, Any] | None = None, **claims: Any
) -> bytes:
    payload = {
        name: text for name, text in {**claims_of_alice(), **claims}.items() if text is not ...
    }
    token = jwt.encode(payload, key, algorithm, headers={"kid": "r", **(header or {})})
    return b"Bearer " + token.encode()


def raw(header: dict[str, object], payload: bytes, signature: bytes = b"sig") -> bytes:
    parts = [json.dumps(header).encode(), payload, signature]
    return b"Bearer " + b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


def confused() -> bytes:
    """HS256 with the public key as the secret."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "r", "typ": "JWT"}, claims_of_alice())
    ]
    digest = hmac.new(PEM, b".".join(parts), hashlib.sha256).digest()
    return b"Bearer " + b".".join([*parts, base64.urlsafe_b64encode(digest).rstrip(b"=")])


def tampered(token: bytes) -> bytes:
    head, _, signature = token.removeprefix(b"Bearer ").split(b".")
    claims = base64.urlsafe_b64encode(
        json.dumps({**claims_of_alice(), "sub": "bob"}).encode()
    ).rstrip(b"=")
    return b"Bearer " + b".".join([head, claims, signature])


@pytest.fixture
def keys() -> KeySet:
    found = KeySet("file:///nowhere", lambda _url: JWKS)
    found.refresh()
    return found


@pytest.fixture
def gate(keys: KeySet) -> Gate:
    return Gate(keys, issuer=ISSUER, audience=AUDIENCE)


def test_nobody_without_a_token_and_the_user_with_one(gate: Gate) -> None:
    assert gate.caller(None) is NOBODY
    for token in (sign(), sign(EC, "ES256", header={"kid": "e"})):
        for _ in range(2):
            caller = gate.caller(token)
            assert caller == Caller("alice", frozenset({"chat", "events:write"}))
    with pytest.raises(Problem):
        gate.known_caller(None)


@pytest.mark.parametrize(
    "token_of",
    [
        lambda: sign(aud=["other", AUDIENCE]),
        lambda: sign(exp=now(-30)),
        lambda: sign(nbf=now(30)),
        lambda: sign(scope=...),
        lambda: sign(header={"typ": "at+jwt"}),
        lambda: sign(header={"jku": "https://evil.test/jwks", "x5u": "https://evil.test/cert"}),
        lambda: sign(header={"jwk": jwk(STRANGER.public_key())}),
        lambda: sign(token_use="access"),  # noqa: S106
    ],
)
def test_tokens_within_the_rules_are_taken(gate: Gate, token_of: Callable[[], bytes]) -> None:
    assert gate.caller(token_of()).user == "alice"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "no scheme": lambda: sign().removeprefix(b"Bearer "),
    "another scheme": lambda: b"Basic YWxpY2U6eA==",
    "empty": lambda: b"",
    "scheme only": lambda: b"Bearer",
    "no token": lambda: b"Bearer ",
    "garbage": lambda: b"Bearer garbage",
    "two dots": lambda: b"Bearer ..",
    "four parts": lambda: sign() + b".x",
    "two tokens": lambda: sign() + b" " + sign(),
    "two spaces": lambda: sign().replace(b" ", b"  "),
    "not base64": lambda: b"Bearer a!.b.c",
    "huge": lambda: sign(padding="x" * 9000),
    "alg none": lambda: raw({"alg": "none", "kid": "r"}, json.dumps(claims_of_alice()).encode()),
    "alg None": lambda: raw(
        {"alg": "None", "kid": "r"}, json.dumps(claims_of_alice()).encode(), b""
    ),
    "HS256 with the public key": confused,
    "HS256 with a secret": lambda: sign("s" * 64, "HS256"),
    "RS512": lambda: sign(RSA, "RS512"),
    "PS256": lambda: sign(RSA, "PS256"),
    "ES256 under the RSA key's id": lambda: sign(EC, "ES256"),
    "RS256 under the EC key's id": lambda: sign(header={"kid": "e"}),
    "no kid": lambda: b"Bearer " + jwt.encode(claims_of_alice(), RSA, "RS256").encode(),
    "unknown kid": lambda: sign(header={"kid": "x"}),
    "kid of a path": lambda: sign(header={"kid": "../../dev/null"}),
    "kid with an injection": lambda: sign(header={"kid": "r' OR 1=1 --"}),
    "foreign key": lambda: sign(STRANGER),
    "foreign key with its jwk": lambda: sign(STRANGER, header={"jwk": jwk(STRANGER.public_key())}),
    "critical extension": lambda: sign(header={"crit": ["exp"]}),
    "unencoded payload": lambda: sign(header={"b64": False, "crit": ["b64"]}),
    "another type": lambda: sign(header={"typ": "dpop+jwt"}),
    "id token": lambda: sign(token_use="id"),  # noqa: S106
    "tampered": lambda: tampered(sign()),
    "cut signature": lambda: sign()[:-4],
    "expired": lambda: sign(exp=now(-61)),
    "no expiry": lambda: sign(exp=...),
    "expiry as text": lambda: sign(exp=str(now(600))),
    "expiry true": lambda: sign(exp=True),
    "expiry infinite": lambda: sign(exp=float("inf")),
    "expiry not a number": lambda: sign(exp=float("nan")),
    "not yet valid": lambda: sign(nbf=now(120)),
    "issued in the future": lambda: sign(iat=now(120)),
    "another issuer": lambda: sign(iss="https://evil.test"),
    "issuer with a suffix": lambda: sign(iss=ISSUER + ".evil.test"),
    "no issuer": lambda: sign(iss=...),
    "another audience": lambda: sign(aud="other"),
    "no audience": lambda: sign(aud=...),
    "no subject": lambda: sign(sub=...),
    "empty subject": lambda: sign(sub=""),
    "subject with a line end": lambda: sign(sub="alice\n"),
    "subject with the separator": lambda: sign(sub="a\x1fb"),
    "subject beyond ASCII": lambda: sign(sub="алиса"),
    "subject too long": lambda: sign(sub="a" * 256),
    "scope as a list": lambda: sign(scope=["events:write"]),
    "payload no object": lambda: raw({"alg": "RS256", "kid": "r"}, b"[]"),
    "payload deep": lambda: raw({"alg": "RS256", "kid": "r"}, b"[" * 3000),
    "header no object": lambda: b"Bearer W10.e30.c2ln",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused_and_never_anonymous(gate: Gate, name: str) -> None:
    token = HOSTILE[name]()
    for _ in range(2):
        with pytest.raises(Problem) as refused:
            gate.caller(token)
        assert refused.value.status == 401


@pytest.mark.parametrize("authorization", [None, b"Basic YWxpY2U6eA=="])
def test_who_has_no_token_is_told_of_no_error_in_it(
    gate: Gate, authorization: bytes | None
) -> None:
    with pytest.raises(Problem) as refused:
        gate.known_caller(authorization)
    assert refused.value.headers == {"www-authenticate": "Bearer"}


def test_a_wrong_token_is_called_one(gate: Gate) -> None:
    for token in (b"Bearer garbage", sign(STRANGER)):
        with pytest.raises(Problem) as refused:
            gate.known_caller(token)
        assert refused.value.headers == {"www-authenticate": 'Bearer error="invalid_token"'}


def test_without_a_key_set_every_token_is_refused() -> None:
    gate = Gate(KeySet(""), issuer="", audience="")
    for token in (sign(), sign(iss="", aud="")):
        with pytest.raises(Problem):
            gate.caller(token)


def test_a_token_is_not_called_invalid_before_the_keys_were_read() -> None:
    unread = KeySet("file:///nowhere", lambda _url: JWKS)
    gate = Gate(unread, issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(Problem) as refused:
        gate.caller(sign())
    assert (refused.value.status, refused.value.headers) == (429, {"retry-after": "1"})
    with pytest.raises(Problem) as malformed:
        gate.caller(b"Bearer no.token")
    assert malformed.value.status == 401
    unread.refresh()
    assert gate.caller(sign()).user == "alice"


def test_a_verified_token_ends_with_its_expiry_and_with_its_key(keys: KeySet) -> None:
    moment = float(now())
    gate = Gate(keys, issuer=ISSUER, audience=AUDIENCE, clock=lambda: moment)
    token = sign()
    gate.caller(token)
    moment += 600 + 61
    assert gate.caller(token).user == "alice"  # verified anew, by the real clock
    keys._fetch = lambda _url: json.dumps({"keys": [jwk(EC.public_key(), kid="e")]}).encode()
    keys.refresh()
    with pytest.raises(Problem):
        gate.caller(token)


def test_a_failed_fetch_leaves_the_keys_as_they_are(keys: KeySet, gate: Gate) -> None:
    def fail(_url: str) -> bytes:
        raise OSError("refused")

    keys._fetch = fail
    keys.refresh()
    assert gate.caller(sign()).user == "alice"


def test_keys_that_cannot_be_read_again_are_good_for_a_day() -> None:
    moment, document = 0.0, JWKS
    keys = KeySet("file:///nowhere", lambda _url: document, clock=lambda: moment)
    gate = Gate(keys, issuer=ISSUER, audience=AUDIENCE)
    keys.refresh()
    token = sign()
    document, moment = b"", 86_400.0
    keys.refresh()
    assert (gate.caller(token).user, keys.age_seconds()) == ("alice", 86_400.0)
    moment += 1
    keys.refresh()
    with pytest.raises(Problem) as refused:
        gate.caller(token)
    assert refused.value.status == 429  # it may be good: nobody can tell
    document = JWKS
    keys.refresh()
    assert (gate.caller(token).user, keys.age_seconds()) == ("alice", 0.0)


async def test_an_unknown_key_leads_to_one_fetch(gate: Gate) -> None:
    fetched = asyncio.Queue[int]()
    loop = asyncio.get_running_loop()

    def fetch(_url: str) -> bytes:
        loop.call_soon_threadsafe(fetched.put_nowait, 1)
        return JWKS

    keys = KeySet("file:///nowhere", fetch, unknown_key_seconds=0.0)
    task = asyncio.create_task(keys.keep())
    await fetched.get()
    for _ in range(100):
        keys.get("x")
    await fetched.get()
    task.cancel()
    assert fetched.empty()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": [1, {"kty": "oct", "k": "c2VjcmV0", "kid": "h"}]}',
        json.dumps({"keys": [jwk(RSA.public_key())]}).encode(),
        json.dumps({"keys": [jwk(RSA.public_key(), kid="r", alg="HS256")]}).encode(),
        json.dumps({"keys": [jwk(RSA.public_key(), kid="r", use="enc")]}).encode(),
        json.dumps({"keys": [{"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}]}).encode(),
        json.dumps({"keys": [{**json.loads(RSAAlgorithm.to_jwk(RSA)), "kid": "r"}]}).encode(),
    ],
)
def test_a_key_set_without_a_usable_key_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own errors count as well
        parse(document)


def test_a_url_of_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="JWKS"):
        KeySet("ftp://keys.test/jwks")
