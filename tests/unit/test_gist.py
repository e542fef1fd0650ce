"""Gists: what is left of a question is what may name a title or its kind."""

import pytest

from config import search
from domain.gist import Gist

TABLE = search.load()
GIST = Gist(TABLE.stop_words.latin, TABLE.stop_words.japanese)


@pytest.mark.parametrize(
    ("question", "gist"),
    [
        ("something with samurai and swords", "samurai swords"),
        ("Who drew AKIRA?", "AKIRA"),
        ("料理の漫画でおすすめは？", "料理"),
        ("ワンピースの作者は誰ですか", "ワンピース"),
        ("ちはやふるみたいな作品を教えてください", "ちはやふる"),
        ("ﾍﾞﾙｾﾙｸ の ような 漫画", "ベルセルク"),
        ("鬼滅の刃を読みたい", "鬼滅 刃"),
        ("SPY×FAMILYに似た漫画", "SPY×FAMILY"),
        ("Pokémon manga", "Pokémon"),
    ],
)
def test_the_words_around_a_wish_are_left_out(question: str, gist: str) -> None:
    assert GIST.of(question) == gist


@pytest.mark.parametrize("question", ["what is it about?", "おすすめは？", "", "!?", "の"])
def test_a_question_of_such_words_alone_stays(question: str) -> None:
    assert GIST.of(question) == question


def test_without_stop_words_only_particles_go() -> None:
    assert Gist((), ()).of("the manga の 漫画") == "the manga 漫画"
