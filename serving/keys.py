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
"""How soon the first fetch is tried again."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the one algorithm that it is good for."""

    key: PublicKey
    algorithm: Algorithm


class KeySet:
    """The keys of the moment. `loaded` stays False until the set has been read once."""

    def __init__(
        self,
        url: str,
        fetch: Callable[[str], bytes] | None = None,
        unknown_key_seconds: float = UNKNOWN_KEY_SECONDS,
    ) -> None:
        if url and not url.startswith(("file:", "http://", "https://")):
            raise ValueError("the JWKS URL must begin with file:, http:// or https://")
        self._url = url
        self._fetch = fetch or _fetch
        self._pause = unknown_key_seconds
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

    async def keep(self) -> None:
        """Read the set now, every REFRESH_SECONDS and when an unknown key is asked for."""
        while self._url:
            self._wanted.clear()
            await asyncio.to_thread(self.refresh)
            if not self.loaded:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            await asyncio.sleep(max(0.0, self._tried_at + self._pause - time.monotonic()))
            try:
                async with asyncio.timeout(REFRESH_SECONDS - self._pause):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def refresh(self) -> None:
        """Read the set; on a failure the keys stay as they are."""
        self._tried_at = time.monotonic()
        try:
            keys = parse(self._fetch(self._url))
        except (OSError, ValueError) as error:
            log.warning("the keys of tokens could not be read: %s", error)
            return
        if keys != self._keys:
            self._keys = keys
            self.generation += 1
        self.loaded = True


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
