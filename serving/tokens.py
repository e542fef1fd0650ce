"""Who is calling: bearer tokens, verified against the configured issuer, audience and keys.

RS256 and ES256 only, by the key's own algorithm. A token's hints about where keys are to be found
(jku, x5u, jwk) are ignored. A token that does not verify is refused, never taken for anonymous.
"""

import base64
import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import jwt

from domain.events import ANONYMOUS
from serving.keys import KeySet
from serving.problems import Problem, invalid_token, not_ready, token_needed

LEEWAY_SECONDS = 60
MAX_TOKEN_BYTES = 8192
MAX_VERIFIED = 10_000
ANYONES_EVENTS = "events:write"

_TYPES = {None, "JWT", "at+jwt", "application/at+jwt"}
_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")
"""OpenID Connect Core, section 2: at most 255 ASCII characters."""
_COMPACT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Caller:
    """The user of a request, empty for an anonymous one, and what the token allows."""

    user: str
    scopes: frozenset[str] = frozenset()


NOBODY = Caller(ANONYMOUS)


class Gate:
    """Tells who a request comes from. A token seen before costs one look-up until it expires."""

    def __init__(
        self, keys: KeySet, *, issuer: str, audience: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._verified: dict[bytes, tuple[Caller, float]] = {}
        self._generation = keys.generation

    def caller(self, authorization: bytes | None) -> Caller:
        """The caller by the Authorization header, NOBODY without one; raises Problem."""
        if authorization is None:
            return NOBODY
        seen = self._verified.get(authorization)
        if seen is not None and seen[1] > self._clock() and self._fresh():
            return seen[0]
        caller, expires_at = self._verify(authorization)
        if self._fresh() and len(self._verified) >= MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[authorization] = (caller, expires_at)
        return caller

    def expiry(self, authorization: bytes) -> float:
        """When what `caller` has just verified stops being valid, in epoch seconds."""
        return self._verified[authorization][1]

    def known_caller(self, authorization: bytes | None) -> Caller:
        """The caller where a token is needed; raises Problem without one."""
        if authorization is None:
            raise token_needed("a bearer token is needed")
        return self.caller(authorization)

    def warm_up(self) -> None:
        """Verify a token that nobody signed, so that the first real one finds the code loaded."""
        for kid, algorithm in self._keys.ids().items():
            head = json.dumps({"alg": algorithm, "kid": kid}).encode()
            signature = b"\1" * (64 if algorithm == "ES256" else 256)
            parts = [
                base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, b"{}", signature)
            ]
            with contextlib.suppress(Problem):
                self.caller(b"Bearer " + b".".join(parts))

    def _fresh(self) -> bool:
        if self._generation == self._keys.generation:
            return True
        self._generation = self._keys.generation
        self._verified.clear()
        return False

    def _verify(self, authorization: bytes) -> tuple[Caller, float]:
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise token_needed("the authorization scheme must be Bearer")
        if len(token) > MAX_TOKEN_BYTES or not _COMPACT.fullmatch(token):
            raise invalid_token("the bearer token is not a signed JWT")
        try:
            return self._claims(token)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise invalid_token("the bearer token is not valid") from error

    def _claims(self, token: bytes) -> tuple[Caller, float]:
        header = jwt.get_unverified_header(token)
        if header.get("typ") not in _TYPES or "crit" in header or header.get("b64", True) is False:
            raise ValueError("an unsupported kind of token")
        kid = header.get("kid")
        found = self._keys.get(kid) if isinstance(kid, str) else None
        if found is None and not self._keys.loaded:  # a token that is called invalid is thrown away
            raise not_ready("tokens can't be verified yet, ask again")
        if found is None or header.get("alg") != found.algorithm:
            raise ValueError("no key for this token")
        claims = jwt.decode(
            token,
            found.key,
            algorithms=[found.algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub", "iss", "aud"]},
        )
        subject, expires, scope = claims["sub"], claims["exp"], claims.get("scope", "")
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise ValueError("the subject is not a user id")
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            raise TypeError("the expiry is not a number")
        if claims.get("token_use", "access") != "access" or not isinstance(scope, str):
            raise ValueError("not an access token")
        return Caller(subject, frozenset(scope.split())), expires + LEEWAY_SECONDS
