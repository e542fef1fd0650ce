"""Recommendations of the last title of each user, which training has not seen."""

from bench import recommended
from tests.shared_data import shared


def test_it_finds_at_least_twice_what_the_most_popular_titles_do() -> None:
    assert shared("interactions.csv.gz").samefile(recommended.INTERACTIONS)
    found = recommended.quality()
    assert found is not None
    table, claim = found
    assert claim.target == 2.0
    assert claim.holds, table.rows
