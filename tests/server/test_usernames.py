"""User names and passwords as people type them: one account a name (RFC 8265)."""

import secrets
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from tests.server.harness import HASHER, PASSWORD, StartServer, TestServer, add_user
from unexpired_server.cli import main
from unexpired_server.sessions.passwords import (
    InvalidPasswordError,
    Passwords,
    check_new_password,
)
from unexpired_server.sessions.usernames import (
    InvalidUsernameError,
    canonical,
    new_username,
    spellings,
)
from unexpired_server.sessions.users import UserExistsError, Users
from unexpired_server.storage.schema import users

STORES = ("sqlite", "postgres")


async def add_from_before(node: TestServer, *names: str) -> None:
    """Add users as an earlier version did: only in NFC."""
    rows = [
        {
            "id": secrets.token_hex(16),
            "username": name,
            "password_hash": HASHER.hash(f"{PASSWORD} of {name}"),
            "created_at": node.clock(),
        }
        for name in names
    ]
    await node.app.state.service.database.rows(insert(users).values(rows))


@pytest.mark.parametrize(
    "typed", ["ada", "Ada", "ADA", "ada ", " ada", "ada\u00a0", "\uff41\uff44\uff41", "ada\u3000"]
)
async def test_one_person_signs_in_however_the_name_is_typed(node: TestServer, typed: str) -> None:
    response = await node.login(typed)
    assert response.status_code == 200
    assert response.json()["user"]["username"] == "ada"


@pytest.mark.parametrize("typed", ["Ada", "ada ", "ADA", "\uff21da"])
async def test_no_second_account_has_the_same_name(node: TestServer, typed: str) -> None:
    with pytest.raises(UserExistsError):
        await add_user(node.settings, typed)


async def test_names_from_before_sign_in_as_they_are_and_never_as_someone_else(
    node: TestServer,
) -> None:
    await add_user(node.settings, "nora")
    await add_from_before(node, "Nora", "Grace H.", "Eve ", "MARY")
    for name in ("Nora", "Grace H.", "Eve ", "MARY"):
        response = await node.login(name, f"{PASSWORD} of {name}")
        assert (response.status_code, response.json()["user"]["username"]) == (200, name)
    assert (await node.login("Grace H. ", f"{PASSWORD} of Grace H.")).status_code == 200
    # Two people: the one who is exactly meant.
    assert (await node.login("nora")).json()["user"]["username"] == "nora"
    assert (await node.login("Nora")).status_code == 401
    with pytest.raises(UserExistsError):
        await add_user(node.settings, "mary")


async def test_a_name_that_grows_when_it_is_normalised_is_an_unknown_user(
    node: TestServer,
) -> None:
    for name in ("\ufb2c" * 64, "\u0390" * 64, "x" * 64, "\u1100" * 64):
        assert (await node.login(name)).json()["code"] == "BAD_CREDENTIALS"


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("\ufb2c" * 64, "1 to 64"), ("x" * 65, "1 to 64"), ("", "letters"), (" ", "letters"),
        ("a b", "no spaces"), ("a\x1b[2J", "letters"), ("a\u202eb", "letters"),
        ("a\u200bb", "letters"), ("\u2665", "letters"), ("a\x00", "letters"),
        ("\u0430da", "Cyrillic and Latin"), ("\u03bfk", "Greek and Latin"),
        ("p\u0430yp\u0430l", "mixes letters"), ("\u05d0a", "letters"), ("\U0001d41a", "letters"),
        ("\ufb01x", "letters"),
    ],
)  # fmt: skip
def test_a_name_that_could_be_taken_for_another_is_refused_with_a_sentence(
    typed: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidUsernameError, match=says):
        new_username(typed)
    url = f"sqlite+aiosqlite:///{tmp_path}/x.sqlite3"
    done = CliRunner().invoke(main, ["user", "add", "--database-url", url, "--", typed], PASSWORD)
    assert done.exit_code == 2
    assert says in done.stderr.replace("\n", " ")
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Ada.Lovelace+x@Example.com", "ada.lovelace+x@example.com"), ("Zoe\u0308", "zo\u00eb"),
        ("\u0410\u0434\u0430", "\u0430\u0434\u0430"), ("\u5c71\u7530\u30bf\u30ed\u30fc", None),
        ("\ud55c\uad6d1", None), ("\u05d3\u05d5\u05d3", None), ("\u0639\u0645\u0631", None),
        ("stra\u00dfe", None), ("\u0915\u094d\u0937", None), ("o'neil-99_x", None),
    ],
)  # fmt: skip
def test_names_of_one_script_are_accepted(typed: str, stored: str | None) -> None:
    assert new_username(typed) == (stored or typed)


@given(st.text(max_size=70))
def test_every_name_has_one_form_and_none_raises(typed: str) -> None:
    form = canonical(typed)
    assert canonical(form) == form
    assert form in spellings(typed) or len(form) > 64
    try:
        new = new_username(typed)
    except InvalidUsernameError:
        return
    assert new == form == new_username(new)
    assert 0 < len(new) <= 64


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("correct horse", "correct\u00a0horse"),
        ("caf\u00e9 caf\u00e9", "cafe\u0301\u3000cafe\u0301"),
    ],
)
async def test_a_password_matches_with_any_kind_of_space_and_in_any_form(
    first: str, then: str
) -> None:
    passwords = Passwords(HASHER)
    assert await passwords.verify(then, passwords.hash(first))
    assert await passwords.verify(first, passwords.hash(then))
    assert not await passwords.verify(first.upper(), passwords.hash(first))
    # A hash from before has the space as it was typed.
    assert await passwords.verify("a\u00a0b", HASHER.hash("a\u00a0b"))
    passwords.close()


def test_a_new_password_has_a_length_and_no_control_characters() -> None:
    accepted: Sequence[str] = ("correct horse", "\U0001f40e" * 8, "p\u00e4ssw\u00f6rt", "x" * 1024)
    for password in accepted:
        check_new_password(password)
    for password in ("short", "x" * 1025, "long enough\x1b", "long\u202eenough", "a\ufb2cb"):
        with pytest.raises(InvalidPasswordError):
            check_new_password(password)


async def test_two_additions_of_one_name_at_once_make_one_account(start: StartServer) -> None:
    node = await start()
    found: Users = node.app.state.service.users
    await found.add("carl", "hash", 0)
    with pytest.raises(UserExistsError):
        await found.add("CARL", "hash", 0)
    assert (await found.find("Carl")) is not None
