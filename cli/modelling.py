"""The recommender's model: trained for an operator, and described anew for every catalogue."""

from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.dynamodb_catalogue import DynamoDBCatalogue
from cli import bad_rows, output, progress
from cli.data_dir import MODEL_FILE as FILE
from cli.failures import Failure
from cli.target import Target, aim
from domain.catalogue import Catalogue, Title
from recommender.content import Described
from recommender.interactions import Interactions, InteractionsRejected, read
from recommender.model import Model, ModelUnreadable, load, save
from recommender.training import redescribed, train

GENRE, AUTHOR, DEMOGRAPHIC = 1.0, 1.5, 0.5
"""What a genre, an author, a demographic in common say of two titles."""


def run(file: Path, out: Path | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Train on a file of interactions and the catalogue; raises Failure where it is refused."""
    target = aim(data_dir)
    where = _where(out, target)
    interactions = _read(file)
    catalogue = DynamoDBCatalogue(AwsClients(), target.settings.catalogue_table).load()
    model = train(described(catalogue), interactions)
    save(model, where)
    if as_json:
        output.document(
            {
                "model": str(where),
                "version": model.version,
                "titles": len(model.ids),
                "interactions": len(interactions),
                "skipped": interactions.bad_rows,
            }
        )
        return
    output.line(
        f"{output.number(len(interactions), 'interaction')}, "
        f"{bad_rows.left_out(interactions.bad_rows)}; "
        f"the model {model.version} of {output.number(len(model.ids), 'title')} is in {where}"
    )


def _where(out: Path | None, target: Target) -> Path:
    if out is not None:
        return out / FILE
    if target.stack is None:
        raise Failure("name a directory with --out: there is no embedded stack to take the model")
    return target.stack.directory.model


def describe(path: Path, catalogue: Catalogue) -> None:
    """Make the model in this file fit the catalogue; one that cannot be read is made anew."""
    titles = described(catalogue)
    save(train(titles) if (model := _known(path)) is None else redescribed(model, titles), path)


def described(catalogue: Catalogue) -> list[Described]:
    """The titles that may stand in a list, as the recommender reads them."""
    return [
        Described(title.id, _tags(title), title.popularity or 0)
        for title in catalogue.by_popularity
    ]


def _tags(title: Title) -> list[tuple[str, float]]:
    return [
        *((name, GENRE) for name in title.genres),
        *((name, AUTHOR) for name in title.authors or title.authors_ja),
        *((name, DEMOGRAPHIC) for name in title.demographic),
    ]


def _known(path: Path) -> Model | None:
    try:
        return load(path)
    except (OSError, ModelUnreadable):
        return None


def _read(file: Path) -> Interactions:
    try:
        size = file.stat().st_size
        with progress.shown(file.name) as advance:
            found = read(file, lambda done: advance(done, size) if advance else None)
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}") from error
    except InteractionsRejected as error:
        raise Failure(f"{file}: {error}") from error
    bad_rows.tell(file.name, found.bad, found.bad_rows)
    return found
