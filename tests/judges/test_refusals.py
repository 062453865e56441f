"""The same proofs, good and bad, for our server and for others: the table in the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pytest

from tests.contract.real_servers import RealServer
from tests.judges.asking import PACKAGES, Judges
from tests.judges.attempts import ATTEMPTS
from tests.judges.parties import (
    ACCEPTED,
    Calls,
    Jose,
    OAuth4WebAPI,
    OidcProvider,
    OurServer,
    Party,
    Refreshes,
    json_of,
)
from tests.support.paths import ROOT
from tests.support.server_process import ServerProcess

PAGE = ROOT / "docs" / "explanation" / "bound-sessions.md"

OUR_CALL, OUR_REFRESH = "our server: call", "refresh"
THEIR_CALL, THEIR_REFRESH = "oidc-provider: call", "refresh "

LETS_PASS = {
    "a good proof",
    "`iat` an hour ago, the latest nonce",
    "n - s in place of s",
}
"""What our server accepts for a call."""


@pytest.fixture(scope="module")
def outcomes(
    judges: Judges, backend: ServerProcess, oidc_provider: RealServer
) -> dict[str, dict[str, str]]:
    """What each party says to each attempt."""
    ours, theirs = OurServer(backend.url), OidcProvider(oidc_provider.url)
    jwks = json_of(f"{backend.url}/.well-known/jwks.json")
    parties: Mapping[str, Party] = {
        OUR_CALL: Calls(ours),
        OUR_REFRESH: Refreshes(ours),
        "oauth4webapi: call": OAuth4WebAPI(judges, ours, jwks, "unexpired", "unexpired"),
        THEIR_CALL: Calls(theirs),
        THEIR_REFRESH: Refreshes(theirs),
        "jose": Jose(judges, ours),
    }
    return {
        name: {heading: party.outcome(make) for heading, party in parties.items()}
        for name, make in ATTEMPTS.items()
    }


def test_the_table_in_the_documentation_is_true(outcomes: dict[str, dict[str, str]]) -> None:
    assert "\n".join(_table(outcomes)) in PAGE.read_text(), "\n".join(_table(outcomes))


def test_the_documentation_names_the_versions_that_judged() -> None:
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    text = PAGE.read_text()
    for name in PACKAGES:
        assert f"{name} {locked[f'node_modules/{name}']['version']}" in text


def test_one_code_says_that_a_proof_is_bad(outcomes: dict[str, dict[str, str]]) -> None:
    """It must not say how far a forged proof came; only an authentic one learns more."""
    refused = {name: of[OUR_CALL] for name, of in outcomes.items() if of[OUR_CALL] != ACCEPTED}
    codes = {
        code: [name for name, its in refused.items() if its == code] for code in refused.values()
    }
    assert set(codes) == {"`INVALID_PROOF`", "`USE_DPOP_NONCE`"}
    assert codes["`USE_DPOP_NONCE`"] == [
        "no nonce",
        "a nonce that was made up",
        "`iat` an hour ago, no nonce",
    ]
    assert set(outcomes) - set(refused) == LETS_PASS


def test_what_oidc_provider_refuses_we_refuse(outcomes: dict[str, dict[str, str]]) -> None:
    for ours, theirs in ((OUR_CALL, THEIR_CALL), (OUR_REFRESH, THEIR_REFRESH)):
        for name, of in outcomes.items():
            if name != "the same proof twice":  # A refresh is idempotent here: repeated, not done.
                assert of[theirs] == ACCEPTED or of[ours] != ACCEPTED, (name, of)


def _table(outcomes: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    (first, *_) = outcomes.values()
    yield _line(["presented", *first])
    yield _line(["---"] * (len(first) + 1))
    for name, found in outcomes.items():
        yield _line([name, *found.values()])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.strip() for cell in cells)} |"
