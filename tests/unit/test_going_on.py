"""Which questions go on from what was said before."""

import pytest

from config import search
from serving.model_path import going_on

GOES_ON = going_on(search.load())


@pytest.mark.parametrize(
    "question",
    [
        "when did it start?",
        "the second one, who drew it?",
        "How many volumes are there?",
        "and others?",
        "Is it finished or still running?",
        "who is the author?",
        "did she write others?",
        "いつ始まったの？",
        "それの作者は？",
        "何巻ありますか",
        "作者は誰ですか",
        "まだ続いてる？",
        "他には？",
        "他に何を描いていますか",
        "二番目のやつは完結してる？",
    ],
)
def test_it_goes_on_where_it_names_nothing_or_refers_back(question: str) -> None:
    assert GOES_ON(question)


@pytest.mark.parametrize(
    "question",
    [
        "Who drew Akira?",
        "something sad with samurai and swords",
        "anything about cooking and love",
        "asdfgh qwerty",
        "Is Naruto finished or still running?",
        "ドラえもんの作者は？",
        "アキラの作者は誰？",
        "よつばとの作者は？",
        "ナナは完結していますか、何巻ありますか",
        "ONE PIECEは何巻まで出ていますか",
        "料理の漫画",
        "悲しい話が読みたい",
    ],
)
def test_a_question_with_a_subject_stands_alone(question: str) -> None:
    assert not GOES_ON(question)
