"""The judges agree with each other before they judge us."""

from __future__ import annotations

import json

import pytest

from tests.judges.asking import Judges, Refused
from tests.support.paths import ROOT

URL = "http://127.0.0.1/api/me"


def test_the_judges_are_of_the_locked_versions(judges: Judges) -> None:
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for name, version in judges.ask("versions").items():
        assert locked[f"node_modules/{name}"]["version"] == version


@pytest.mark.parametrize("by", ["jose", "dpop"])
def test_jose_accepts_a_proof_of_its_own_and_of_dpop(judges: Judges, by: str) -> None:
    proof = judges.ask("prove", by=by, method="GET", url=URL, nonce="n")["proof"]
    accepted = judges.ask("joseAccepts", proof=proof)
    assert {"htm": "GET", "htu": URL, "nonce": "n"}.items() <= accepted["claims"].items()
    assert accepted["thumbprint"] == judges.ask("thumbprint", by=by)["thumbprint"]


def test_jose_refuses_a_proof_with_a_changed_claim(judges: Judges) -> None:
    first = judges.ask("prove", by="dpop", method="GET", url=URL)["proof"].split(".")
    second = judges.ask("prove", by="dpop", method="POST", url=URL)["proof"].split(".")
    with pytest.raises(Refused, match="SIGNATURE"):
        judges.ask("joseAccepts", proof=".".join([first[0], second[1], first[2]]))
