"""What stands for a user in analytics and audit."""

import hashlib
import hmac

from adapters.pseudonyms import Pseudonyms


def test_a_pseudonym_is_the_keyed_hash_of_the_user() -> None:
    full = hmac.new(b"key", b"hana", hashlib.sha256).hexdigest()
    assert Pseudonyms("key").of("hana") == full[:32]


def test_users_and_keys_have_pseudonyms_of_their_own() -> None:
    found = {Pseudonyms(key).of(user) for key in ("k1", "k2") for user in ("hana", "ken")}
    assert len(found) == 4


def test_nothing_stands_for_nobody() -> None:
    assert Pseudonyms("key").of("") == ""


def test_without_a_key_users_are_left_out() -> None:
    assert Pseudonyms("").of("hana") == ""
