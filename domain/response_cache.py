"""What a model's answer is kept under, for whom, for how long, and when it is made anew.

A key names everything that the answer was made from: two questions share one only where nothing
that could change the answer differs. How a response is stored is in `adapters/response_wire.py`.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256

from domain.answers import PREVIEW_CHARS, hash_of, rfc3339
from domain.errors import Malformed
from domain.events import Locale

PREFIX = "response:"
DIGEST_BYTES = 16

_WIDE_OR_NARROW = re.compile(r"<(?:wide|narrow)> ([0-9A-F]+)")
_SAME_MARK = str.maketrans("’‘ʼ“”〝〟〜–—", '\'\'\'""""~--')
_END_MARKS = " ?。."
"""At the end they say nothing. "!" stays: sequels are told apart by it."""
_MEMO_LIMIT = 0x10000


class _OneWidth(dict[int, str | None]):
    """A translation table that works out a code point of the basic plane once."""

    def __missing__(self, code: int) -> str | None:
        made = _one_width(chr(code))
        if code < _MEMO_LIMIT:
            self[code] = made
        return made


def _one_width(char: str) -> str | None:
    found = _WIDE_OR_NARROW.fullmatch(unicodedata.decomposition(char))
    if found is not None:
        return chr(int(found[1], 16))
    category = unicodedata.category(char)
    if category == "Cf":
        return None
    return " " if category in {"Cc", "Zs", "Zl", "Zp"} else char


_ONE_WIDTH = _OneWidth()


def normalised(question: str) -> str:
    """The question without differences of width, case, spacing and end marks, and no others.

    Much less than `domain.questions.fold`, which takes "C++" for "C" and "ビル" for "ビール", and
    less than NFKC, which takes "x²" for "x2": what is merged here gets the same answer.
    """
    text = question.translate(_ONE_WIDTH).translate(_SAME_MARK)
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split()).rstrip(_END_MARKS) or folded.strip()


@dataclass(frozen=True, slots=True)
class Scope:
    """Who may be given a response: everybody, or one user, named by a pseudonym."""

    user: str = ""

    @property
    def is_public(self) -> bool:
        """Whether everybody may."""
        return not self.user

    @property
    def owner(self) -> bytes:
        """The tag that a stored response carries, and that its reader must ask for."""
        return _digest("scope", "user" if self.user else "public", self.user)


PUBLIC = Scope()


def scope_of(
    question: str, *, is_public: bool, user: str, own_words: re.Pattern[str]
) -> Scope | None:
    """For whom the response to a question is; None where it must not be kept at all.

    Public only where the caller declares that nothing personal went into it, and where the
    question, by its words, does not refer to the one who asks. `user` is a pseudonym; somebody
    without one shares nothing, or all anonymous customers would share everything.
    """
    if is_public and own_words.search(normalised(question)) is None:
        return PUBLIC
    return Scope(user) if user else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Everything that a response depends on.

    `catalogue` is the version of the catalogue: a response made from another one may name titles
    that are gone, so an import makes every response anew. `context` is a digest of what else went
    into the prompt (turns, preferences): a public response has none. Raises ValueError otherwise.
    """

    scope: Scope
    locale: Locale
    kind: str
    question: str
    model: str
    prompt_version: str
    catalogue: str
    context: str = ""
    key: str = field(init=False)
    """Where the response lies in Redis."""

    def __post_init__(self) -> None:
        if self.scope.is_public and self.context:
            raise ValueError("a response that is made from personal context is not public")
        parts = (
            self.scope.owner.hex(), self.locale, self.kind, normalised(self.question), self.model,
            self.prompt_version, self.catalogue, self.context,
        )  # fmt: skip
        object.__setattr__(self, "key", PREFIX + sha256(_joined(parts)).hexdigest())


@dataclass(frozen=True, slots=True)
class Generated:
    """What a computation gave. `chunks` are the lengths of the pieces that the text came in.

    `is_negative` marks an honest "there is no answer", `is_partial` what was made of half a search:
    both are kept for a short time only.
    """

    text: str
    items: Sequence[Mapping[str, object]]
    chunks: Sequence[int] = ()
    is_negative: bool = False
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long responses are kept, in seconds. A TTL is cut by a random part of the jitter."""

    ttl: float
    jitter: float
    negative_ttl: float
    hard_ttl: float
    """Kept for when the model fails; what is kept for a short time is not kept beyond its TTL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """One response as it is kept. Times are epoch seconds; `body` as in `StoredAnswer`.

    `fingerprint` is that of the content alone: the same text and items have the same one.
    """

    key: str
    owner: bytes
    fingerprint: bytes
    version: int
    generated_at: float
    soft_expires_at: float
    hard_expires_at: float
    compute_seconds: float
    is_negative: bool
    chunks: Sequence[int]
    preview: str
    body: bytes

    @property
    def answer_id(self) -> str:
        """What names this answer, wherever it is given."""
        return answer_id_of(hash_of(self.key), self.version)

    def text(self) -> str:
        """The answer's text."""
        return str(self.answer()["text"])

    def answer(self) -> Mapping[str, object]:
        """The answer in the API's shape; raises Malformed for a body that holds none."""
        try:
            answer = json.loads(self.body + b"}")["answer"]
            if isinstance(answer["text"], str) and isinstance(answer["items"], list):
                return dict(answer)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        raise Malformed("a cached response holds no answer")

    def pieces(self) -> Iterator[str]:
        """The text in the pieces that it first came in, to be streamed again."""
        text, at = self.text(), 0
        for length in self.chunks:
            if at < len(text):
                yield text[at : at + length]
            at += length
        if at < len(text):
            yield text[at:]

    def is_stale(self, now: float) -> bool:
        """Whether it is past its soft expiry."""
        return now >= self.soft_expires_at

    def is_due(self, now: float, beta: float, chance: float) -> bool:
        """Whether this reader should make it anew, while others still get it (XFetch).

        `chance` is uniform in (0, 1]; the longer a computation takes, the earlier one begins.
        https://doi.org/10.14778/2757807.2757813
        """
        return now - self.compute_seconds * beta * math.log(chance) >= self.soft_expires_at


def answer_id_of(key_hash: int, version: int) -> str:
    """The id of an answer of the model, from what the header of its response says."""
    return f"{key_hash:08x}-{version}"


def respond(
    asked: Asked,
    generated: Generated,
    *,
    started: float,
    now: float,
    lifetimes: Lifetimes,
    chance: float,
    after: int = 0,
) -> StoredResponse:
    """The response as it is kept from `now` on; `chance` in [0, 1) spreads expiries.

    Its version is the time in milliseconds, but more than the version `after` which it comes,
    whatever the clock says.
    """
    content = _content(asked, generated)
    version = max(int(now * 1000), after + 1)
    tail = f',"generated_at":"{rfc3339(now)}","version":{version}'
    is_brief = generated.is_negative or generated.is_partial
    ttl = lifetimes.negative_ttl if is_brief else lifetimes.ttl - lifetimes.jitter * chance
    return StoredResponse(
        key=asked.key,
        owner=asked.scope.owner,
        fingerprint=_digest("content", content),
        version=version,
        generated_at=now,
        soft_expires_at=now + ttl,
        hard_expires_at=now + (ttl if is_brief else lifetimes.hard_ttl),
        compute_seconds=max(0.0, now - started),
        is_negative=generated.is_negative,
        chunks=tuple(generated.chunks),
        preview=generated.text[:PREVIEW_CHARS],
        body=f'{{"answer":{content}{tail}'.encode(),
    )


def _content(asked: Asked, generated: Generated) -> str:
    answer = {
        "text": generated.text,
        "items": generated.items,
        "kind": asked.kind,
        "locale": asked.locale,
    }
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def _joined(parts: Sequence[str]) -> bytes:
    """One run of bytes for each sequence: the lengths keep neighbours apart."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "little") + part for part in encoded)


def _digest(purpose: str, *parts: str) -> bytes:
    return blake2b(_joined((purpose, *parts)), digest_size=DIGEST_BYTES).digest()
