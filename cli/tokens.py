"""The keys of an embedded stack, in its data directory: a pair for bearer tokens, offered as a JWK
set, and the one that user ids are hidden with.

A real deployment has an identity provider and a store of secrets instead, named in its settings.
"""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.data_dir import DataDir
from cli.endpoints import AUDIENCE, ISSUER
from cli.failures import Failure

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

ALGORITHM = "ES256"
PSEUDONYM_KEY_BYTES = 32


def make_keys(directory: DataDir) -> None:
    """Make the pair, unless it is there."""
    if directory.private_key.exists() and directory.jwks.exists():
        return
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_private(directory.private_key, pem)
    directory.jwks.write_text(json.dumps({"keys": [_public(key.public_key())]}), "utf-8")


def pseudonym_key(directory: DataDir) -> str:
    """The key of pseudonyms, made at the first call; raises Failure where it cannot be kept."""
    path = directory.pseudonym_key
    try:
        if not path.exists() or not path.stat().st_size:
            _write_private(path, os.urandom(PSEUDONYM_KEY_BYTES).hex().encode())
        return path.read_text("ascii")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error


def mint(directory: DataDir, user: str, scope: str, ttl_seconds: int) -> str:
    """A token for this user; raises Failure where the directory has no key."""
    import jwt

    try:
        pem = directory.private_key.read_bytes()
        kid = json.loads(directory.jwks.read_bytes())["keys"][0]["kid"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Failure(
            f"{directory.path} has no key for tokens; start a stack there with `mangaassist up`"
        ) from error
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user,
        "iat": now,
        "exp": now + ttl_seconds,
        **({"scope": scope} if scope else {}),
    }
    return jwt.encode(claims, pem, ALGORITHM, headers={"kid": kid})


def _public(key: "EllipticCurvePublicKey") -> dict[str, str]:
    """The public key as a JWK, named by its thumbprint (RFC 7638)."""
    from hashlib import sha256

    from jwt.algorithms import ECAlgorithm
    from jwt.utils import base64url_encode

    found = json.loads(ECAlgorithm.to_jwk(key))
    required = {name: found[name] for name in ("crv", "kty", "x", "y")}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
    kid = base64url_encode(sha256(canonical.encode()).digest()).decode()
    return {**required, "kid": kid, "alg": ALGORITHM, "use": "sig"}


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
