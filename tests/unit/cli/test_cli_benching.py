"""`mangaassist bench` runs what the checkout has, and says so where there is none."""

from pathlib import Path

import pytest

from cli.benching import run
from cli.failures import Failure


def checkout(root: Path, code: str) -> Path:
    package = root / "bench"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(code)
    return root


def test_the_benchmarks_get_the_arguments_and_give_the_exit_code(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; pathlib.Path('said').write_text(' '.join(sys.argv[1:])); sys.exit(3)"
    )
    assert run(["waterfall", "--quick"], checkout(tmp_path, code)) == 3
    assert (tmp_path / "said").read_text() == "waterfall --quick"


def test_an_installation_without_benchmarks_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="in a checkout"):
        run(["waterfall"], tmp_path)
