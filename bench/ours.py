"""Starts the product's own processes for a benchmark: keys, settings, answers, catalogue.

Black box: they are started by their entry points and get everything through the environment.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
import redis
from cryptography.hazmat.primitives.asymmetric import ec

from bench.processes import HOST, Child, DidNotStartError, answers_ok, free_port, wait_for
from bench.servers import DEGRADED, OURS, OURS_REPEATED, Effects, Exchange, Place, Server, http_post
from bench.stack import start_moto
from bench.stored import MIX, Asked, answer, varied
from domain.answers import AnswerKey, StoredAnswer

OUTBOX = "outbox:0"
SESSIONS = 500
TITLES = 13_000
WORDINGS = 8192
"""More than the request path remembers, so that every question is classified anew."""

_ISSUER = "https://bench.invalid"
_AUDIENCE = "mangaassist"
_HARD_SECONDS = 36_000


@dataclass(frozen=True, slots=True)
class Identity:
    """A key pair's public half as a JWKS file, and tokens that it verifies, one for each user."""

    jwks: Path
    tokens: Sequence[str]

    @property
    def token(self) -> str:
        """The first user's."""
        return self.tokens[0]

    @property
    def environment(self) -> dict[str, str]:
        """The settings that make the request path accept the token."""
        return {
            "MANGAASSIST_TOKEN_ISSUER": _ISSUER,
            "MANGAASSIST_TOKEN_AUDIENCE": _AUDIENCE,
            "MANGAASSIST_JWKS_URL": self.jwks.as_uri(),
        }


class Signer:
    """A key pair whose public half is a JWKS file, and tokens that it verifies."""

    def __init__(self, directory: Path) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        public = json.loads(algorithm.to_jwk(self._private.public_key()))
        self.jwks = directory / "jwks.json"
        self.jwks.write_text(json.dumps({"keys": [{**public, "kid": "bench", "alg": "ES256"}]}))

    @property
    def environment(self) -> dict[str, str]:
        """The settings that make the request path accept the tokens."""
        return Identity(self.jwks, ()).environment

    def token(self, user: str) -> str:
        """A token of a user who is signed in for a day."""
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": user,
            "exp": int(time.time()) + 86_400,
        }
        return jwt.encode(claims, self._private, "ES256", headers={"kid": "bench"})


def new_identity(directory: Path, users: Sequence[str] = ("bench-user",)) -> Identity:
    """Users who are signed in for a day."""
    signer = Signer(directory)
    return Identity(signer.jwks, [signer.token(user) for user in users])


def publish(client: redis.Redis) -> dict[AnswerKey, StoredAnswer]:
    """Puts an answer of the common size where the request path finds each of the mix."""
    answers = {key: answer(key) for key in _keys()}
    for key, stored in answers.items():
        for name in key.redis_keys():
            client.set(name, stored.pack(), ex=_HARD_SECONDS)
    return answers


def _keys() -> list[AnswerKey]:
    fallbacks = [AnswerKey("fallback", "", "ja"), AnswerKey("fallback", "", "en")]
    return [*dict.fromkeys(asked.key for asked in MIX), *fallbacks]


def exchanges(
    identity: Identity, answers: dict[AnswerKey, StoredAnswer], questions: Sequence[Asked]
) -> list[Exchange]:
    """The questions of a signed-in user, each with the check of its answer."""
    return [
        _exchange(identity, asked, answers[asked.key], f"bench-{number % SESSIONS}")
        for number, asked in enumerate(questions)
    ]


def _exchange(identity: Identity, asked: Asked, stored: StoredAnswer, session_id: str) -> Exchange:
    question = {
        "session_id": session_id,
        "message": asked.message,
        "locale": asked.key.locale,
    }
    body = json.dumps(question, ensure_ascii=False).encode()
    request = http_post("/v1/chat", body, {"Authorization": f"Bearer {identity.token}"})
    expected = stored.body + b',"source":"precomputed","age_seconds":'
    remembered = stored.body + b',"source":"stale","age_seconds":'

    def check(head: bytes, got: bytes) -> str | None:
        if not head.startswith(b"HTTP/1.1 200 "):
            return f"status line {head[:40]!r}"
        if got.startswith(remembered):
            return DEGRADED
        if not (got.startswith(expected) and got.endswith(b'"}')):
            return f"not the precomputed answer to {asked.message!r}: {got[-120:]!r}"
        # The event that the body names must be the one that the headers name.
        event_id = got[-38:-2]
        return None if event_id in head else f"two event ids for {asked.message!r}"

    return Exchange(request, check)


def start_serving(place: Place) -> list[Server]:
    """The request path: a signed-in user's questions, classified, answered, events written.

    Twice the same process: asked in ever new wordings, and in a few that come again and again.
    """
    client = redis.Redis.from_url(place.valkey.url)
    answers = publish(client)
    identity = new_identity(place.processes.directory)
    child, port = start_request_path(place, identity)

    def written() -> int:
        added: int = client.xinfo_stream(OUTBOX)["entries-added"] if client.exists(OUTBOX) else 0
        return added

    effects = Effects(1, written, lambda: _empty_outbox(client))
    return [
        Server(name, child, port, exchanges(identity, answers, questions), effects)
        for name, questions in ((OURS, varied(WORDINGS)), (OURS_REPEATED, MIX))
    ]


def start_request_path(place: Place, identity: Identity) -> tuple[Child, int]:
    """One serving process that is ready, and its port; answers have to be published before."""
    port, metrics_port = free_port(), free_port()
    moto = start_moto(place.processes, place.other_cores)
    aws = {**moto.environment, **place.sqs.endpoint, "MANGAASSIST_REDIS_URL": place.valkey.url}
    _prepare(place, aws)
    settings = {
        **aws,
        **identity.environment,
        "MANGAASSIST_PORT": str(port),
        "MANGAASSIST_METRICS_PORT": str(metrics_port),
        "MANGAASSIST_LOG_LEVEL": "WARNING",
    }
    child = place.processes.start(
        "serving", [sys.executable, "-m", "serving.main"], place.cores, settings
    )
    wait_for(child, lambda: answers_ok(f"http://{HOST}:{port}/readyz"))
    return child, port


def _prepare(place: Place, environment: Mapping[str, str]) -> None:
    arguments = [sys.executable, "-m", "bench.prepare", str(TITLES)]
    preparing = place.processes.start("prepare", arguments, place.cores, environment)
    if preparing.process.wait():
        raise DidNotStartError(f"prepare failed:\n{preparing.last_words()}")


def _empty_outbox(client: redis.Redis) -> None:
    """Nobody relays here: without this the stream would fill the memory."""
    client.xtrim(OUTBOX, maxlen=0, approximate=False)
