"""A user's recommendation as it lies in Redis: a stored answer for one user, in every locale.

The body names its owner on the first line, then holds a ready JSON body for each locale in the
order of LOCALES. What names another owner, or lies under another key, is no answer. The preview
has a line for each locale, then the version of the catalogue that the titles are from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain import sentences
from domain.answers import PREVIEW_CHARS, Answer, AnswerKey, Damage, Damaged, StoredAnswer, hash_of
from domain.catalogue import Title, item
from domain.events import Locale
from domain.recommendations import FILLED
from domain.sentences import Phrases

LOCALES: tuple[Locale, ...] = ("ja", "en")
_PREVIEW_LINES = len(LOCALES) + 1

Rows = Sequence[tuple[Title, float]]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long an answer is fresh, and how long it is kept."""

    ttl_seconds: float
    hard_ttl_seconds: float


def recommendation_key(user_id: str) -> str:
    """Where a user's recommendation is."""
    return f"reco:{user_id}"


def render(rows: Rows, phrases: Phrases, locale: Locale) -> Answer:
    """The answer made of these titles and scores, best first; there is one at least."""
    chosen = [title for title, score in rows if score != FILLED]
    filling = [title for title, score in rows if score == FILLED]
    text = text_of(phrases, locale, chosen, filling)
    items = [{**item(title, locale), "score": score} for title, score in rows]
    return Answer(AnswerKey("recommendation", "", locale), text, items)


def text_of(
    phrases: Phrases, locale: Locale, chosen: Sequence[Title], filling: Sequence[Title]
) -> str:
    """What is said of the titles: it names those chosen for the user, not those that fill up."""
    sentence = "recommendation"
    if filling:
        sentence = sentences.unless_unknown("recommendation_filled", filling)
    return phrases.say(locale, sentence, titles=sentences.names(phrases, locale, chosen))


def store(
    user_id: str,
    rows: Rows,
    phrases: Phrases,
    generated_at: float,
    lifetime: Lifetime,
    *,
    catalogue_version: str,
) -> StoredAnswer:
    """The recommendation as it is stored; its version is the time of what it was made of."""
    version = version_at(generated_at)
    answers = {locale: render(rows, phrases, locale) for locale in LOCALES}
    bodies = [answers[locale].body(version, generated_at) for locale in LOCALES]
    previews = [answers[locale].text[:PREVIEW_CHARS].replace("\n", " ") for locale in LOCALES]
    return StoredAnswer(
        key_hash=hash_of(recommendation_key(user_id)),
        version=version,
        generated_at=generated_at,
        soft_expires_at=generated_at + lifetime.ttl_seconds,
        hard_expires_at=generated_at + lifetime.hard_ttl_seconds,
        preview="\n".join([*previews, catalogue_version]),
        body=b"\n".join([user_id.encode(), *bodies]),
    )


def unpack(stored: bytes, user_id: str, locale: Locale) -> StoredAnswer:
    """The user's own answer in the locale; raises Damaged for anything else."""
    answer = StoredAnswer.unpack(stored, recommendation_key(user_id))
    owner, *bodies = answer.body.split(b"\n")
    if owner != user_id.encode():
        raise Damaged(Damage.FOREIGN_KEY)
    if len(bodies) != len(LOCALES):
        raise Damaged(Damage.FORMAT)
    return replace(answer, body=bodies[LOCALES.index(locale)])


def preview_in(preview: str, locale: Locale) -> str:
    """The beginning of the text in one locale, of the preview of all."""
    lines = preview.split("\n")
    return lines[LOCALES.index(locale)] if len(lines) == _PREVIEW_LINES else preview


def catalogue_in(preview: str) -> str:
    """The version of the catalogue that a whole preview names."""
    return preview.rpartition("\n")[2]


def version_at(generated_at: float) -> int:
    """Milliseconds since 1970."""
    return int(generated_at * 1000)
