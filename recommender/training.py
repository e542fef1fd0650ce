"""Makes a model of what users did and of how the catalogue describes titles; either may lack."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recommender.co_reading import co_read, readers_of
from recommender.content import Described, alike, popularity_of, tags_of
from recommender.interactions import Interactions, of
from recommender.model import Model, version_of


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
