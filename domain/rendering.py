"""Answers made of the catalogue and the trending scores: texts and items, in each locale.

Pure: everything comes in as an argument, also what day it is and how sentences are worded. Knows
no Redis and no schedule.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from domain import sentences
from domain.answers import Answer, AnswerKey
from domain.catalogue import Catalogue, Title, item
from domain.events import Locale
from domain.sentences import Phrases
from domain.trending import ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What answers are made of; `scores` are trending scores by title id."""

    catalogue: Catalogue
    scores: Mapping[str, float]
    today: date
    phrases: Phrases
    locales: Sequence[Locale]
    top_n: int
    trend_days: int


Answers = dict[AnswerKey, Answer]


def render(kind: str, material: Material) -> Answers:
    """Every answer of a kind; raises KeyError for a kind that is not in RENDERED_KINDS."""
    return {answer.key: answer for answer in _RENDERERS[kind](material)}


def trending(material: Material) -> Iterator[Answer]:
    """The titles with the highest scores.

    Cold start: with fewer than `top_n` scored titles the list goes on with the most popular ones
    of the catalogue, whose score is 0.
    """
    scored = [(t, score) for t, score in _scored(material) if t.listable][: material.top_n]
    known = {title.id for title, _ in scored}
    popular = [(t, 0.0) for t in material.catalogue.by_popularity if t.id not in known]
    rows = [*scored, *popular][: material.top_n]
    titles = [title for title, _ in rows]
    sentence = _trending_sentence(len(scored), titles)
    for locale in material.locales:
        if scored:
            shown = sentences.ranks(material.phrases, locale, titles[: len(scored)])
        else:
            shown = sentences.names(material.phrases, locale, titles)
        text = material.phrases.say(locale, sentence, titles=shown, days=material.trend_days)
        yield Answer(AnswerKey("trending", "", locale), text, _scored_items(rows, locale))


def new_releases(material: Material) -> Iterator[Answer]:
    """The titles that started last, of those that certainly have started."""
    phrases = material.phrases
    titles = material.catalogue.newest(material.today, material.top_n)
    for locale in material.locales:
        text = phrases.say(
            locale,
            "new_releases" if titles else "new_releases_none",
            today=sentences.when(phrases, locale, material.today.isoformat()),
            titles=sentences.names_with_dates(phrases, locale, titles),
        )
        yield _answer("new_releases", "", locale, text, titles)


def genres(material: Material) -> Iterator[Answer]:
    """The most popular titles of every genre and demographic with a page of its own."""
    for count in material.catalogue.browsable():
        titles = material.catalogue.of_genre(count.slug)[: material.top_n]
        for locale in material.locales:
            text = material.phrases.say(
                locale,
                sentences.unless_unknown("genre", titles),
                genre=count.name.in_locale(locale),
                count=count.titles,
                titles=sentences.names(material.phrases, locale, titles),
            )
            yield _answer("genre", count.slug, locale, text, titles)


def titles_asked_for(material: Material) -> Iterator[Answer]:
    """The titles that are most likely asked for: by trending score, then by popularity."""
    wanted = {title.id: title for title, _ in _scored(material)}
    wanted |= {t.id: t for t in material.catalogue.by_popularity if t.id not in wanted}
    for title in list(wanted.values())[: material.top_n]:
        for locale in material.locales:
            yield title_answer(material.phrases, title, locale)


def title_answer(phrases: Phrases, title: Title, locale: Locale) -> Answer:
    """What the catalogue knows of one title."""
    return _answer("title", title.id, locale, sentences.about(phrases, locale, title), [title])


def popular_recommendation(material: Material) -> Iterator[Answer]:
    """For whom nothing is known of: the titles with the highest scores, then popular ones."""
    liked = {title.id: (title, score) for title, score in _scored(material) if title.listable}
    popular = {t.id: (t, 0.0) for t in material.catalogue.by_popularity if t.id not in liked}
    rows = [*liked.values(), *popular.values()][: material.top_n]
    titles = [title for title, _ in rows]
    is_plain = not material.scores
    sentence = "recommendation_popular" if titles else "recommendation_none"
    for locale in material.locales:
        shown = sentences.names(material.phrases, locale, titles)
        worded = sentences.unless_unknown(sentence, titles) if titles and is_plain else sentence
        text = material.phrases.say(locale, worded, titles=shown)
        yield Answer(AnswerKey("recommendation", "", locale), text, _scored_items(rows, locale))


def fallback(material: Material) -> Iterator[Answer]:
    """Popular titles, with a text that says that they do not answer the question."""
    titles = material.catalogue.by_popularity[: material.top_n]
    sentence = sentences.unless_unknown("fallback", titles) if titles else "fallback_none"
    for locale in material.locales:
        shown = sentences.names(material.phrases, locale, titles)
        text = material.phrases.say(locale, sentence, titles=shown)
        yield _answer("fallback", "", locale, text, titles)


_RENDERERS: Mapping[str, Callable[[Material], Iterator[Answer]]] = {
    "trending": trending,
    "new_releases": new_releases,
    "genre": genres,
    "title": titles_asked_for,
    "recommendation": popular_recommendation,
    "fallback": fallback,
}
RENDERED_KINDS = frozenset(_RENDERERS)
"""The kinds of which there are stored answers."""


def _answer(kind: str, slug: str, locale: Locale, text: str, titles: Sequence[Title]) -> Answer:
    return Answer(AnswerKey(kind, slug, locale), text, [item(title, locale) for title in titles])


def _scored_items(
    rows: Sequence[tuple[Title, float]], locale: Locale
) -> Sequence[Mapping[str, object]]:
    return [{**item(title, locale), "score": score} for title, score in rows]


def _scored(material: Material) -> Iterator[tuple[Title, float]]:
    """The titles that customers did something with, best first; ties by id."""
    for title_id, score in ranking(material.scores):
        title = material.catalogue.get(title_id)
        if title is not None and score > 0:
            yield title, score


def _trending_sentence(scored: int, titles: Sequence[Title]) -> str:
    if not titles:
        return "trending_none"
    if not scored:
        return sentences.unless_unknown("trending_cold", titles)
    return (
        "trending"
        if scored == len(titles)
        else sentences.unless_unknown("trending_filled", titles[scored:])
    )
