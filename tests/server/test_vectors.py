"""Vectors of our own making, in the manner of Wycheproof, through the real verifiers.

``tests/server/vectors/make.py`` makes them, and says why each is good or bad.
"""

import json
from typing import Any

import pytest

from tests.server.vectors.make import FILES, HERE, contents
from unexpired_server.errors import TokenInvalid, Unavailable
from unexpired_server.tokens.access_tokens import ExpectedClaims, Verifier
from unexpired_server.tokens.jwks_verifier import JWKSVerifier
from unexpired_server.tokens.keys import Key, ring_of

EXPECTED = {"TokenInvalid": TokenInvalid, "Unavailable": Unavailable}


def vectors(*names: str) -> list[Any]:
    """The cases of some files, each with what its file says for all."""
    found = []
    for name in names:
        file = json.loads((HERE / f"{name}.json").read_text())
        cases = file.pop("cases")
        found += [pytest.param({**file, **one}, id=f"{name}: {one['name']}") for one in cases]
    return found


async def verified(document: str, token: str, now: float) -> str:
    """What a verifier with only this document says of a token."""

    async def fetch(_address: str) -> bytes:
        return document.encode("utf-8")

    verifier = JWKSVerifier("https://keys.example/", now=lambda: now, fetch=fetch)
    try:
        claims = await verifier.verify(token)
    except (TokenInvalid, Unavailable) as exc:
        return next(name for name, kind in EXPECTED.items() if isinstance(exc, kind))
    assert (claims.user_id, claims.session_id) == ("ada", "1")
    return "valid"


@pytest.mark.parametrize("one", vectors("es256", "eddsa", "rsa"))
async def test_signatures(one: dict[str, Any]) -> None:
    document = json.dumps({"keys": one["keys"]})
    assert await verified(document, one["token"], one["now"]) == one["expected"], one["comment"]


@pytest.mark.parametrize("one", vectors("jwk_sets"))
async def test_jwk_sets(one: dict[str, Any]) -> None:
    outcome = await verified(one["document"], one["token"], one["now"])
    assert outcome == one["expected"], one["comment"]
    if one["beside"]:
        assert await verified(one["document"], one["beside"], one["now"]) == "valid"


@pytest.mark.parametrize("one", vectors("jws"))
def test_forms_of_tokens(one: dict[str, Any]) -> None:
    ring = ring_of(Key("one", bytes.fromhex(one["secret"])))
    expected = ExpectedClaims("unexpired", "unexpired", 900, 60)
    verifier = Verifier(ring, expected, lambda: one["now"])
    if one["expected"] == "valid":
        assert verifier.verify(one["token"]).user_id == "ada"
    else:
        with pytest.raises(TokenInvalid):
            verifier.verify(one["token"])


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_what_the_script_makes(name: str) -> None:
    assert (HERE / f"{name}.json").read_text() == contents(name)
