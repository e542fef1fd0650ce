"""The public keys that tokens are verified with: a JWK set, cached, refreshed off the request path.

Only the configured URL is ever read: no redirect and nothing that a token says leads elsewhere.
"""

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = logging.getLogger(__name__)

Algorithm = Literal["RS256", "ES256"]
PublicKey = RSAPublicKey | EllipticCurvePublicKey

FETCH_SECONDS = 5.0
MAX_SET_BYTES = 256 * 1024
MIN_RSA_BITS = 2048
REFRESH_SECONDS = 600.0
UNKNOWN_KEY_SECONDS = 60.0
"""An unknown key id leads to one fetch in this time at the most."""
RETRY_SECONDS = 5.0
"""How soon a fetch is tried again where there are no keys."""
KEEP_SECONDS = 86_400.0
"""How long keys are good for that can't be read again: one that was revoked must end some day."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the one algorithm that it is good for."""

    key: PublicKey
    algorithm: Algorithm


class KeySet:
    """The keys of the moment. `loaded` is False until the set has been read, and again where it
    could not be for KEEP_SECONDS.
    """

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] | None = None,
        unknown_key_seconds: float = UNKNOWN_KEY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if url and not url.startswith(("file:", "http://", "https://")):
            raise ValueError("the JWKS URL must begin with file:, http:// or https://")
        self._url = url
        self._fetch = fetch or _fetch
        self._pause = unknown_key_seconds
        self._clock = clock
        self._read_at = clock()
        self._keys: Mapping[str, VerificationKey] = {}
        self._tried_at = float("-inf")
        self._wanted = asyncio.Event()
        self.generation = 0
        """Changes whenever the keys do: what was verified with the old ones must be again."""
        self.loaded = not url

    def get(self, kid: str) -> VerificationKey | None:
        """The key of this id; an unknown one has the set read again soon."""
        key = self._keys.get(kid)
        if key is None and self._url:
            self._wanted.set()
        return key

    def ids(self) -> Mapping[str, Algorithm]:
        """The algorithms of the keys by their ids."""
        return {kid: key.algorithm for kid, key in self._keys.items()}

    def age_seconds(self) -> float:
        """Time since the set was last read, or not read at first; 0 where there is none."""
        return self._clock() - self._read_at if self._url else 0.0

    async def keep(self) -> None:
        """Read the set now, every REFRESH_SECONDS and when an unknown key is asked for."""
        while self._url:
            self._wanted.clear()
            await asyncio.to_thread(self.refresh)
            if not self.loaded:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await asyncio.sleep(max(0.0, self._tried_at + self._pause - self._clock()))
            try:
                async with asyncio.timeout(REFRESH_SECONDS - self._pause):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def refresh(self) -> None:
        """Read the set; on a failure the keys stay as they are, for KEEP_SECONDS."""
        self._tried_at = self._clock()
        try:
            keys = parse(self._fetch(self._url))
        except (OSError, ValueError) as error:
            log.warning("the keys of tokens could not be read: %s", error)
            self._end_if_too_old()
            return
        self._read_at = self._tried_at
        self._replace(keys)
        self.loaded = True

    def _end_if_too_old(self) -> None:
        if self.loaded and self.age_seconds() > KEEP_SECONDS:
            log.error("the keys of tokens are too old, so that no token can be verified")
            self.loaded = False
            self._replace({})

    def _replace(self, keys: Mapping[str, VerificationKey]) -> None:
        if keys != self._keys:
            self._keys = keys
            self.generation += 1


def parse(document: bytes) -> dict[str, VerificationKey]:
    """The usable keys of a JWK set by their id; raises ValueError where there is none."""
    entries = json.loads(document)
    entries = entries.get("keys") if isinstance(entries, dict) else None
    found = {}
    for entry in entries if isinstance(entries, list) else []:
        key = _key(entry) if isinstance(entry, dict) else None
        if key is not None:
            found[str(entry["kid"])] = key
    if not found:
        raise ValueError("the JWK set has no RS256 or ES256 key with an id")
    return found


def _key(entry: dict[str, object]) -> VerificationKey | None:
    if not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    if "d" in entry:
        log.warning("the JWK set holds a private key, which is ignored")
        return None
    algorithm = _algorithm(entry)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm).key
    except jwt.PyJWTError as error:
        log.warning("a key of the JWK set cannot be used: %s", error)
        return None
    if isinstance(key, RSAPublicKey):
        return VerificationKey(key, algorithm) if key.key_size >= MIN_RSA_BITS else None
    return VerificationKey(key, algorithm) if isinstance(key, EllipticCurvePublicKey) else None


def _algorithm(entry: dict[str, object]) -> Algorithm | None:
    if entry.get("kty") == "RSA":
        return "RS256"
    return "ES256" if (entry.get("kty"), entry.get("crv")) == ("EC", "P-256") else None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leaves a redirect to the handler of errors, which raises HTTPError."""

    def redirect_request(self, *_request: object) -> None:
        return None


def _fetch(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(url, timeout=FETCH_SECONDS) as response:
        document: bytes = response.read(MAX_SET_BYTES + 1)
    if len(document) > MAX_SET_BYTES:
        raise ValueError(f"the JWK set is larger than {MAX_SET_BYTES} bytes")
    return document
