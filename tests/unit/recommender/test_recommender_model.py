"""What the recommender learns and says, and that its file is as good as the model."""

from pathlib import Path

import numpy as np
import pytest

from recommender import interactions
from recommender.content import Described
from recommender.model import Model, ModelUnreadable, load, save
from recommender.scoring import recommend
from recommender.training import redescribed, train

TITLES = [
    Described("naruto", [("action", 1.0), ("shonen", 0.5)], 90),
    Described("bleach", [("Action", 1.0), ("Shonen", 0.5)], 80),
    Described("toriko", [("action", 1.0), ("shonen", 0.5)], 10),
    Described("nana", [("romance", 1.0), ("josei", 0.5)], 70),
    Described("honey", [("romance", 1.0), ("josei", 0.5)], 60),
    Described("lonely", [], 1),
]


def ids(model: Model, recent: list[str], limit: int = 10, **features: str) -> list[str]:
    found = recommend(model, recent, {"taste": features}, limit)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    return [one.id for one in found]


@pytest.fixture
def by_content() -> Model:
    return train(TITLES)


def test_without_interactions_what_is_described_alike_is_recommended(by_content: Model) -> None:
    assert ids(by_content, ["naruto"]) == ["bleach", "toriko"]
    assert ids(by_content, ["nana"]) == ["honey"]


def test_what_is_in_the_history_is_not_recommended(by_content: Model) -> None:
    assert ids(by_content, ["naruto", "bleach"]) == ["toriko"]


def test_nothing_is_recommended_to_somebody_of_whom_nothing_is_known(by_content: Model) -> None:
    assert ids(by_content, []) == []
    assert ids(by_content, ["no-such-title"], age="30") == []


def test_a_feature_that_names_a_genre_or_a_title_speaks_for_it(by_content: Model) -> None:
    assert ids(by_content, [], genres="Romance, comedy") == ["nana", "honey"]
    assert ids(by_content, [], viewed="naruto;nothing")[0] == "bleach"


def test_the_latest_title_of_a_history_counts_most(by_content: Model) -> None:
    assert ids(by_content, ["nana", "naruto"], 1) == ["honey"]
    assert ids(by_content, ["naruto", "nana"], 1) == ["bleach"]


def test_what_many_did_outweighs_the_description() -> None:
    readers = [
        (t, f"user-{u}", title) for u in range(40) for t, title in enumerate(["naruto", "nana"])
    ]
    model = train(TITLES, interactions.of(readers))
    assert ids(model, ["naruto"], 1) == ["nana"]
    assert ids(model, ["nana"], 1) == ["naruto"]
    assert "bleach" in ids(model, ["naruto"])


def test_a_title_that_nobody_described_is_known_by_what_users_did() -> None:
    rows = [(t, f"user-{u}", title) for u in range(3) for t, title in enumerate(["new", "nana"])]
    model = train(TITLES, interactions.of(rows))
    assert ids(model, ["new"]) == ["nana"]


def test_a_new_catalogue_keeps_what_users_did() -> None:
    rows = [(t, f"user-{u}", title) for u in range(9) for t, title in enumerate(["naruto", "nana"])]
    before = train(TITLES, interactions.of(rows))
    fresh = [Described("newest", [("action", 1.0)], 99), *TITLES[2:], TITLES[0]]
    model = redescribed(before, fresh)
    assert ids(model, ["naruto"], 1) == ids(before, ["naruto"], 1) == ["nana"]
    assert "newest" in ids(model, ["naruto"])
    assert "bleach" not in ids(model, ["naruto"]), "nobody read it and nobody describes it"
    gone = redescribed(before, [TITLES[3]])
    assert ids(gone, ["nana"]) == ["naruto"], "it is described no longer, but read"


def test_the_order_of_the_file_changes_nothing() -> None:
    rows = [(float(t), f"user-{t % 3}", TITLES[t % 5].id) for t in range(60)]
    first, second = (train(TITLES, interactions.of(r)) for r in (rows, rows[::-1]))
    assert ids(first, ["naruto"]) == ids(second, ["naruto"])


def test_a_saved_model_recommends_the_same(by_content: Model, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "model.npz"
    save(by_content, path)
    again = load(path)
    assert again.version == by_content.version
    for title in TITLES:
        assert ids(again, [title.id]) == ids(by_content, [title.id])
    assert [found.name for found in path.parent.iterdir()] == ["model.npz"]


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(ModelUnreadable):
        load(path)
    np.savez(path, allow_pickle=False, head=np.arange(3, dtype=np.uint8))
    with pytest.raises(ModelUnreadable):
        load(path)


def test_an_empty_store_has_a_model(tmp_path: Path) -> None:
    save(train([]), tmp_path / "model.npz")
    assert ids(load(tmp_path / "model.npz"), ["naruto"]) == []
