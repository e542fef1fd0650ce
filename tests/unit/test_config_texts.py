"""The table of sentences: what is shipped is whole, and a mistake in it is told."""

from pathlib import Path

import pytest

from config import texts
from config.errors import ConfigError

SHIPPED = (Path(texts.__file__).parent / "texts.toml").read_text("utf-8")


def test_both_locales_word_every_sentence() -> None:
    shipped = texts.load()
    assert shipped.ja.keys() == shipped.en.keys() == texts.PLACEHOLDERS.keys()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (SHIPPED.replace("{titles}", "{tiltes}", 1), "ja.trending: {tiltes}"),
        (SHIPPED.replace("{titles}", "{titles", 1), "ja.trending: is not a template"),
        (SHIPPED.replace("{name}", "{name.__class__}", 1), "ja.listed: {name.__class__}"),
        (SHIPPED.replace("{name}", "{name!r}", 1), "ja.listed: a placeholder is only"),
        (SHIPPED.replace("title_by =", "title_from =", 1), "ja.title_by: is missing"),
        (SHIPPED.replace("[en]", "[fr]"), "texts.toml: Object contains unknown field"),
        (SHIPPED + '\nmore = "x"\n', "en.more: is not a sentence"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, wrong: str, told: str) -> None:
    (tmp_path / "texts.toml").write_text(wrong, "utf-8")
    with pytest.raises(ConfigError) as caught:
        texts.load(tmp_path)
    assert told in str(caught.value)
