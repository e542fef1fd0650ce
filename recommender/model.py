"""A trained model, and its one file: arrays of NumPy without pickle, replaced in one step."""

import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.content import Tags
from recommender.neighbours import Neighbours

FORMAT = 1


class ModelUnreadable(Exception):  # noqa: N818 - named for what is wrong
    """The file is not a model of this format."""


@dataclass(frozen=True)
class Model:
    """What recommendations are made of; titles go by their place in `ids`.

    `read` are the neighbours by what users did, `alike` those by description, and `readers` how
    many users stand behind the former.
    """

    ids: Sequence[str]
    popularity: npt.NDArray[np.float64]
    readers: npt.NDArray[np.int64]
    read: Neighbours
    alike: Neighbours
    tags: Tags
    version: str

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each title."""
        return {title: place for place, title in enumerate(self.ids)}

    @cached_property
    def tag_places(self) -> dict[str, int]:
        """The place of each tag."""
        return {name: place for place, name in enumerate(self.tags.names)}


def save(model: Model, path: Path) -> None:
    """Write the file; whoever reads it meanwhile sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **_arrays(model))
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: Path) -> Model:
    """The model in a file; raises ModelUnreadable, and OSError where there is none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return _model(arrays)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise ModelUnreadable(f"{path.name} is no model of format {FORMAT}: {error}") from error


def version_of(ids: Sequence[str], *parts: Neighbours) -> str:
    """A name for what was learnt: the same from the same titles and interactions."""
    digest = sha256("\n".join(ids).encode())
    for part in parts:
        digest.update(part.columns.tobytes() + part.weights.tobytes())
    return digest.hexdigest()[:12]


def _arrays(model: Model) -> dict[str, Any]:
    head = {"format": FORMAT, "version": model.version}
    return {
        "head": _text(json.dumps(head)),
        "ids": _text(json.dumps(model.ids)),
        "tags": _text(json.dumps(model.tags.names)),
        "tag_starts": model.tags.starts,
        "tag_titles": model.tags.titles,
        "popularity": model.popularity,
        "readers": model.readers,
        **_rows("read", model.read),
        **_rows("alike", model.alike),
    }


def _model(arrays: Any) -> Model:
    head = json.loads(arrays["head"].tobytes())
    if head["format"] != FORMAT:
        raise ValueError(f"format {head['format']}")
    model = Model(
        ids=json.loads(arrays["ids"].tobytes()),
        popularity=arrays["popularity"],
        readers=arrays["readers"],
        read=_neighbours("read", arrays),
        alike=_neighbours("alike", arrays),
        tags=Tags(json.loads(arrays["tags"].tobytes()), arrays["tag_starts"], arrays["tag_titles"]),
        version=str(head["version"]),
    )
    sizes = {len(model.popularity), len(model.readers), len(model.read), len(model.alike)}
    if sizes != {len(model.ids)}:
        raise ValueError("its parts do not fit together")
    return model


def _text(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _rows(name: str, rows: Neighbours) -> dict[str, Any]:
    return {
        f"{name}_starts": rows.starts,
        f"{name}_columns": rows.columns.astype(np.int32),
        f"{name}_weights": rows.weights,
    }


def _neighbours(name: str, arrays: Any) -> Neighbours:
    return Neighbours(
        arrays[f"{name}_starts"],
        arrays[f"{name}_columns"].astype(np.int64),
        arrays[f"{name}_weights"],
    )
