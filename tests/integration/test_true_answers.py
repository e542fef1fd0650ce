"""Whether what is answered is true, from question to answer: narrowing, search, prompt, model."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

import config
from adapters.index_search import IndexSearch
from adapters.jsonl_catalogue import read_catalogue
from config import answers, guardrails, models
from config import search as search_table
from domain.catalogue import Title
from domain.comparisons import Comparisons
from domain.model import Ended, Prompt, Stop
from domain.model_answers import NOTHING_KNOWN, Background
from domain.questions import QuestionKind, detect_locale
from domain.routing import Size
from domain.sessions import Turn
from emulators.chat_model import reply
from serving.generating import Generating, Making, Wish
from serving.generation_meters import GenerationMeters
from serving.model_path import going_on, narrowing
from serving.questions import QuestionClassifier
from tests import unhurried
from tests.unit.serving.fakes import request_path

SAMPLE = read_catalogue(Path(config.__file__).parent / "sample_catalogue.jsonl").catalogue
CLASSIFIER = QuestionClassifier(SAMPLE, answers.load().patterns)
LONG = 30.0
MONSTER = ("Who drew Monster?", "Monster is by Naoki Urasawa.")
MONSTER_JA = ("モンスターの作者は？", "『MONSTER』の作者は浦沢直樹です。")


class Emulated:
    """`ChatModel` over the emulated one, without the wire between."""

    async def stream(self, prompt: Prompt, seconds: float) -> AsyncGenerator[str | Ended, None]:
        del seconds
        said = reply(prompt.system, [message.text for message in prompt.messages], 400)
        for token in said.tokens:
            yield token
        yield Ended(Stop.DONE, said.input_tokens, len(said.tokens))

    async def warm(self, seconds: float) -> None:
        del seconds


class OneModel:
    """The same model for every size."""

    def of(self, _size: Size) -> Emulated:
        return Emulated()


@pytest.fixture(scope="module")
def generating() -> Generating:
    path = request_path()
    search = IndexSearch(SAMPLE, search_table.genre_words, search_table.load())
    return Generating(
        search=lambda: search,
        catalogue=lambda: SAMPLE,
        models=OneModel(),
        table=models.load(),
        limit=search_table.load().limit,
        max_chars=guardrails.load().max_chars,
        budget=unhurried.budgets().routes["generation"],
        meters=GenerationMeters(path.registry, path.meters),
        narrow=narrowing(search_table.declared(), Comparisons(title_named, lambda: SAMPLE)).of,
        goes_on=going_on(search_table.declared()),
    )


def title_named(text: str) -> str | None:
    question = CLASSIFIER.classify(text)
    return question.slug if question.kind is QuestionKind.TITLE else None


def labels(title: Title) -> tuple[str, ...]:
    return (*title.demographic, *title.genres)


async def answered(
    generating: Generating, question: str, known: Background = NOTHING_KNOWN
) -> tuple[str, list[Title]]:
    """The text, and the titles that it names."""
    wish = Wish(question=question, locale=detect_locale(question), known=known)
    made = await generating.make(wish, LONG, lambda _piece: None, Making())
    return made.text, [SAMPLE.titles[str(item["id"])] for item in made.items]


@pytest.mark.parametrize(
    ("question", "wanted", "unwanted"),
    [
        ("horror but not shonen", "Horror", "Shonen"),
        ("ホラーじゃない漫画", None, "Horror"),
        ("I hate sports manga, recommend something else", None, "Sports"),
        ("スポーツ以外でおすすめは？", None, "Sports"),
        ("恋愛要素なしの漫画", None, "Romance"),
        ("将棋の漫画", "Strategy Game", None),
        ("泣ける漫画を教えて", "Drama", None),
        ("something scary, please", "Horror", None),
    ],
)
async def test_genres_that_are_ruled_out_are_not_named(
    generating: Generating, question: str, wanted: str | None, unwanted: str | None
) -> None:
    text, named = await answered(generating, question)
    assert named, text
    assert all(unwanted not in labels(title) for title in named)
    assert all(wanted is None or wanted in labels(title) for title in named)


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("2010年以降の漫画", 2010, 2100),
        ("2010年以降の恋愛漫画", 2010, 2100),
        ("What came out in 1984?", 1984, 1984),
        ("horror from the 1990s", 1990, 1999),
        ("romance after 2010", 2011, 2100),
        ("1990年より前の漫画", 1900, 1989),
    ],
)
async def test_years_that_are_asked_for_hold(
    generating: Generating, question: str, first: int, last: int
) -> None:
    text, named = await answered(generating, question)
    assert named, text
    assert all(first <= int((title.published_from or "0")[:4]) <= last for title in named)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("who is the protagonist of One Piece", "does not tell that about One Piece"),
        ("ワンピースの主人公は誰？", "『ONE PIECE』のそのことはカタログに載っていません"),
        ("When did Naruto end?", "does not tell that about Naruto"),
        ("最近完結した作品", "カタログに載っていません"),
        ("How much does shipping cost?", "see the store's pages"),
        ("返品できますか", "店の画面"),
        ("hello", "assistant of the manga catalogue"),
        ("こんにちは", "案内係"),
        ("thank you!", "You are welcome"),
        ("ありがとうございます", "どういたしまして"),
        ("who are you?", "assistant of the manga catalogue"),
        ("is it finished?", "Which title do you mean?"),
        ("Who drew Bersrk?", "I am not sure which title you mean."),
        ("who are the characters of One Piece", "does not tell that about One Piece"),
    ],
)
async def test_what_the_catalogue_cannot_tell_is_not_answered_with_titles(
    generating: Generating, question: str, told: str
) -> None:
    text, named = await answered(generating, question)
    assert told in text
    assert "not sure" in told or {title.id for title in named} <= {"one-piece", "naruto"}
    assert "Oda" not in text


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("Who wrote One Piece?", "One Piece is by Eiichiro Oda."),
        ("ワンピースの作者は誰？", "『ONE PIECE』の作者は尾田栄一郎です。"),
        ("is Naruto finished?", "Naruto is finished."),
        ("how is Naruto's genre called", "Naruto belongs to "),
        ("NARUTOについて教えて", "ジャンルは少年漫画、アクション、冒険、武術です。"),
        ("tell me about Naruto please", "Naruto is by Masashi Kishimoto. It began in 1999."),
    ],
)
async def test_what_is_asked_is_told_in_sentences_and_the_words_of_the_locale(
    generating: Generating, question: str, told: str
) -> None:
    assert told in (await answered(generating, question))[0]


@pytest.mark.parametrize(
    ("question", "status"),
    [("finished romance manga", "finished"), ("連載中のスポーツ漫画", "currently_publishing")],
)
async def test_a_status_that_is_asked_for_holds(
    generating: Generating, question: str, status: str
) -> None:
    text, named = await answered(generating, question)
    assert {title.status for title in named} == {status}, text


@pytest.mark.parametrize(
    ("question", "title_id", "told"),
    [
        ("manga like Naruto", "naruto", "These share a genre with Naruto: "),
        ("ナルトみたいな漫画", "naruto", "『NARUTO -ナルト-』と同じジャンルの作品です："),
        ("What should I read if I loved Slam Dunk?", "slam-dunk", "share a genre with Slam Dunk"),
        ("最近読んだちはやふるに似た漫画ある？", "chihayafuru", "『ちはやふる』と同じジャンル"),
        ("anything similar to Monster", "monster", "share a genre with Monster"),
    ],
)
async def test_what_is_like_a_title_shares_its_genres_and_is_not_the_title(
    generating: Generating, question: str, title_id: str, told: str
) -> None:
    text, named = await answered(generating, question)
    assert told in text
    assert len(named) == 5
    assert title_id not in {title.id for title in named}
    own = set(labels(SAMPLE.titles[title_id]))
    assert all(len(own & {*labels(title)}) >= 2 for title in named)
    assert "Kishimoto" not in text
    assert "岸本" not in text


async def test_what_is_like_a_title_may_be_narrowed_further(generating: Generating) -> None:
    text, named = await answered(generating, "manga like Death Note but not shonen, since 2000")
    assert named, text
    assert all("Shonen" not in labels(title) for title in named)
    assert all(int((title.published_from or "0")[:4]) >= 2000 for title in named)
    text, named = await answered(generating, "manga like One Piece that is finished")
    assert {title.status for title in named} == {"finished"}, text


async def test_that_one_is_liked_is_no_wish_for_others_and_what_it_is_like_is_told(
    generating: Generating,
) -> None:
    text, named = await answered(generating, "what is Berserk like?")
    assert text.startswith("Berserk is by Kentaro Miura.")
    assert [title.id for title in named] == ["berserk"]


async def test_a_list_says_names_alone(generating: Generating) -> None:
    text, named = await answered(generating, "something with samurai and swords")
    assert len(named) == 5
    assert "(" not in text
    assert "finished" not in text


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("Who drew Akira?", "Akira"),
        ("ドラえもんの作者は？", "『ドラえもん』"),
        ("anything about cooking?", "Oishinbo"),
    ],
)
async def test_a_question_with_a_subject_is_not_answered_with_what_was_said_before(
    generating: Generating, question: str, told: str
) -> None:
    before = "Popular over the last 7 days: Slam Dunk, Days, Monster."
    known = Background([Turn("e", "m", "what's popular this week", before, 1.0)])
    alone, _ = await answered(generating, question)
    text, _ = await answered(generating, question, known)
    assert text == alone
    assert told in text


@pytest.mark.parametrize(
    ("first", "answer", "question", "told"),
    [
        (*MONSTER, "is it finished?", "Monster is finished."),
        (*MONSTER, "what else did he draw?", "Also by Naoki Urasawa: "),
        (*MONSTER_JA, "それは完結していますか", "『MONSTER』は完結済みです。"),
        (*MONSTER_JA, "他に何を描いていますか", "浦沢直樹の作品はほかに『"),
    ],
)
async def test_a_question_goes_on_from_the_one_before(
    generating: Generating, first: str, answer: str, question: str, told: str
) -> None:
    known = Background([Turn("e", "m", first, answer, 1.0)])
    text, _ = await answered(generating, question, known)
    assert text.startswith(told)
