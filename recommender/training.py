"""Makes a model of what users did and of how the catalogue describes titles; either may lack."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recommender.co_reading import co_read, readers_of
from recommender.content import Described, alike, popularity_of, tags_of
from recommender.interactions import Interactions, of
from recommender.model import Model, version_of
from recommender.neighbours import Neighbours, strongest


def train(described: Sequence[Described], interactions: Interactions | None = None) -> Model:
    """The model. A title of the interactions that nobody describes is known by them alone."""
    interactions = interactions if interactions is not None else of(())
    known = {title.id for title in described}
    undescribed = [Described(name, ()) for name in interactions.item_ids if name not in known]
    titles = [*described, *undescribed]
    ids = [title.id for title in titles]
    places = {name: place for place, name in enumerate(ids)}
    order = np.array([places[name] for name in interactions.item_ids], dtype=np.int64)
    placed = replace(interactions, items=order[interactions.items], item_ids=ids)
    tags = tags_of(titles)
    read, by_content = co_read(placed, len(titles)), alike(titles, tags)
    return Model(
        ids=ids,
        popularity=popularity_of(titles),
        readers=readers_of(placed, len(titles)),
        read=read,
        alike=by_content,
        tags=tags,
        version=version_of(ids, read, by_content),
    )


def redescribed(model: Model, described: Sequence[Described]) -> Model:
    """The model with what users did as it is, and the titles as they are described now.

    A title that is described no longer stays as long as users stand behind it.
    """
    known = {title.id for title in described}
    left = [
        Described(name, ())
        for name, readers in zip(model.ids, model.readers, strict=True)
        if readers and name not in known
    ]
    titles = [*described, *left]
    ids = [title.id for title in titles]
    tags = tags_of(titles)
    by_content = alike(titles, tags)
    read, readers = _moved(model, {name: place for place, name in enumerate(ids)})
    return Model(
        ids=ids,
        popularity=popularity_of(titles),
        readers=readers,
        read=read,
        alike=by_content,
        tags=tags,
        version=version_of(ids, read, by_content),
    )


def _moved(model: Model, places: dict[str, int]) -> tuple[Neighbours, npt.NDArray[np.int64]]:
    """What users did, with the titles at their new places."""
    moved = np.array([places.get(name, -1) for name in model.ids], dtype=np.int64)
    rows = moved[np.repeat(np.arange(len(model.ids)), np.diff(model.read.starts))]
    columns = moved[model.read.columns]
    stays = (rows >= 0) & (columns >= 0)
    weights = model.read.weights.astype(np.float64)
    read = strongest(rows[stays], columns[stays], weights[stays], len(places))
    readers = np.zeros(len(places), dtype=np.int64)
    readers[moved[moved >= 0]] = model.readers[moved >= 0]
    return read, readers
