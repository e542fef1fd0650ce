import stat
from pathlib import Path

import pytest

from cli.data_dir import DataDir
from cli.endpoints import AUDIENCE, ISSUER
from cli.failures import Failure
from cli.tokens import make_keys, mint, pseudonym_key
from serving.keys import KeySet
from serving.tokens import Gate


@pytest.fixture
def directory(tmp_path: Path) -> DataDir:
    made = DataDir(tmp_path)
    make_keys(made)
    return made


def test_the_request_path_knows_the_user_of_a_minted_token(directory: DataDir) -> None:
    keys = KeySet(directory.jwks.as_uri())
    keys.refresh()
    gate = Gate(keys, issuer=ISSUER, audience=AUDIENCE)
    token = mint(directory, "alice", "events:write other", 60)
    caller = gate.known_caller(f"Bearer {token}".encode())
    assert (caller.user, caller.scopes) == ("alice", frozenset({"events:write", "other"}))


def test_the_private_key_is_for_its_owner_alone_and_never_offered(directory: DataDir) -> None:
    assert stat.S_IMODE(directory.private_key.stat().st_mode) == 0o600
    assert '"d"' not in directory.jwks.read_text()


def test_the_key_of_a_directory_stays(directory: DataDir) -> None:
    before = directory.jwks.read_bytes()
    make_keys(directory)
    assert directory.jwks.read_bytes() == before


def test_the_key_of_pseudonyms_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = DataDir(tmp_path)
    key = pseudonym_key(made)
    assert len(bytes.fromhex(key)) == 32
    assert stat.S_IMODE(made.pseudonym_key.stat().st_mode) == 0o600
    assert pseudonym_key(made) == key


def test_no_two_directories_have_the_same_key_of_pseudonyms(tmp_path: Path) -> None:
    directories = [DataDir(tmp_path / name) for name in ("a", "b")]
    for each in directories:
        each.make()
    assert len({pseudonym_key(each) for each in directories}) == 2


def test_a_key_of_pseudonyms_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    made = DataDir(tmp_path)
    made.pseudonym_key.touch()
    assert pseudonym_key(made)


def test_a_key_of_pseudonyms_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="pseudonym-key"):
        pseudonym_key(DataDir(tmp_path / "none"))


def test_a_directory_without_a_key_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no key"):
        mint(DataDir(tmp_path), "alice", "", 60)
