"""The answer that needs nothing but the process: popular titles of the catalogue, and saying so."""

from domain.answers import Answer, AnswerKey
from domain.catalogue import Catalogue, item
from domain.events import Locale

ITEMS = 10

_TEXTS: dict[Locale, str] = {
    "ja": "うまくお答えできませんでした。代わりに、人気の作品をご紹介します。",
    "en": "I could not answer that one. Here are popular titles instead.",
}


def canned(catalogue: Catalogue | None, locale: Locale) -> Answer:
    """The answer made of this catalogue, without titles where there is none yet."""
    titles = catalogue.by_popularity[:ITEMS] if catalogue is not None else ()
    items = [item(title, locale) for title in titles]
    return Answer(AnswerKey("fallback", "", locale), _TEXTS[locale], items)
