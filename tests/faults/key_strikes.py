"""What befalls the keys of tokens, which a server publishes that is none of ours."""

import http.client
import shutil
import time
from functools import partial
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from cli import tokens
from cli.endpoints import AUDIENCE, ISSUER
from cli.ports import HOST
from tests.faults import planning
from tests.faults.entry import UNKNOWN_KEY_VARIABLE
from tests.faults.link import Link
from tests.faults.rig import START_SECONDS, Rig
from tests.faults.running import TOKEN_SECONDS, USER, Stage, most_is_done
from tests.faults.waiting import listens

PUBLISHED = "published"
KEYS_VARIABLE = "MANGAASSIST_JWKS_URL"
QUESTION = b'{"session_id": "a-stranger-who-forges", "message": "hello"}'


def apart(stage: Stage) -> None:
    """Keys are read from a server, not from a file, and unknown ones each second, not minute."""
    rig, port = stage.rig, stage.rig.beside["keys"]
    _publish(rig)
    rig.start(planning.publishing(rig.stack, port.number, rig.directory.path / PUBLISHED))
    rig.until(partial(listens, port.number), START_SECONDS, "nothing publishes the keys")
    url = f"http://{HOST}:{rig.nemesis.ports['keys']}/{rig.directory.jwks.name}"
    rig.serve_with({KEYS_VARIABLE: url, UNKNOWN_KEY_VARIABLE: "1"})


def strangers_refused(stage: Stage) -> bool:
    """Refuse somebody whose key nobody knows, again each time; whether most is done."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "iat": now, "exp": now + TOKEN_SECONDS}
    key = ec.generate_private_key(ec.SECP256R1())
    forged = jwt.encode(claims, key, tokens.ALGORITHM, headers={"kid": str(uuid4())})
    assert _status(stage, forged) == http.client.UNAUTHORIZED
    return most_is_done(stage)


def seldom_read(stage: Stage) -> None:
    """However many unknown keys there were, the server was asked once a second at the most."""
    stage.rig.nemesis.heal()
    assert stage.struck() <= 1 + time.time() - stage.began_at


def rotated(stage: Stage) -> None:
    """Another key signs from now on, and is published alone."""
    directory = stage.rig.directory
    directory.private_key.unlink()
    tokens.make_keys(directory)
    _publish(stage.rig)


def renewed(stage: Stage) -> None:
    """The server can be read, and customers come with tokens of the new key."""
    stage.rig.nemesis.heal()
    stage.load.renew()


class OldToken:
    """A token of the key that is replaced, which must not be good for ever."""

    def __init__(self) -> None:
        self._token = ""

    def kept(self, stage: Stage) -> None:
        """Remember it while it is good."""
        self._token = tokens.mint(stage.rig.directory, USER, "", TOKEN_SECONDS)

    def refused(self, stage: Stage) -> bool:
        """Whether it is good no more, and most is done."""
        return most_is_done(stage) and _status(stage, self._token) == http.client.UNAUTHORIZED


def _publish(rig: Rig) -> None:
    """Whole or not at all: it may be read at any time."""
    directory = rig.directory.path / PUBLISHED
    directory.mkdir(exist_ok=True)
    written = directory / "unfinished"
    shutil.copy(rig.directory.jwks, written)
    written.rename(directory / rig.directory.jwks.name)


def _status(stage: Stage, token: str) -> int:
    link = Link(stage.rig.http_port)
    try:
        reply = link.post("/v1/chat", QUESTION, token)
    finally:
        link.close()
    assert reply is not None, "nobody answers"
    return reply[0]
