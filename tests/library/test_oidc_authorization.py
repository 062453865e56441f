"""The authorization request, and its answer, which anybody can forge."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.library.conftest import NOW
from tests.library.test_oidc_metadata import ISSUER, TENANTS, json_values
from tests.library.test_oidc_provider import provider
from unexpired import SignInFailed
from unexpired.errors import SIGN_IN_MESSAGES
from unexpired.oidc.authorization import (
    Asked,
    PendingSignIn,
    authorization_url,
    cleaned,
    code_challenge,
    code_in,
    is_answer,
    new_pending,
    state_of,
)
from unexpired.oidc.metadata import Metadata

HERE = "https://app.example/callback"
PROVIDER = provider()
METADATA = Metadata(ISSUER, f"{ISSUER}/auth", f"{ISSUER}/token")
STRICT = replace(METADATA, sends_iss=True)


def pending(asked: Asked = Asked(), **values: Any) -> PendingSignIn:  # noqa: B008 - frozen
    values = {"redirect_uri": HERE, "now": NOW, **values}
    return new_pending(values.pop("provider", PROVIDER), asked, **values)


PENDING = replace(pending(), state=f"ux1.{'S' * 43}")  # The same in each process of the tests.
GOOD = {"code": "c1", "state": PENDING.state}


def query(url: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


def answer(parameters: Any = None, at: str = HERE, **more: str) -> str:
    """Return an address with an answer; pairs make repeated parameters."""
    pairs = parameters if isinstance(parameters, list) else [*(parameters or GOOD).items()]
    return f"{at}{'&' if '?' in at else '?'}{urlencode([*pairs, *more.items()])}"


def failure(url: str, *, of: PendingSignIn = PENDING, **other: Any) -> SignInFailed:
    given = {"provider": PROVIDER, "metadata": METADATA, "now": NOW + 5, **other}
    with pytest.raises(SignInFailed) as caught:
        code_in(url, of, **given)
    return caught.value


# -- Leaving ---------------------------------------------------------------------------------------


def test_a_sign_in_is_random_each_time() -> None:
    other = pending()
    for name in ("state", "nonce", "verifier"):
        values = {getattr(PENDING, name), getattr(other, name)}
        assert len(values) == 2
        assert all(len(value) >= 43 for value in values)
    assert PENDING.state.startswith("ux1.")


def test_the_request_has_what_the_code_grant_with_pkce_needs() -> None:
    url = authorization_url(METADATA, PROVIDER, PENDING, Asked())
    assert url.startswith(f"{ISSUER}/auth?")
    assert query(url) == {
        "response_type": "code",
        "client_id": "notes",
        "redirect_uri": HERE,
        "scope": "openid profile offline_access",
        "state": PENDING.state,
        "nonce": PENDING.nonce,
        "code_challenge": code_challenge(PENDING.verifier),
        "code_challenge_method": "S256",
    }
    assert PENDING.verifier not in url


def test_the_challenge_is_that_of_the_standard() -> None:
    """The example of RFC 7636, appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_further_wishes_are_sent() -> None:
    wishes = provider(
        audience="https://api.example/",
        resource="urn:api",
        prompt="login",
        max_age=60,
        parameters={"connection": "a b&c"},
    )
    sent = query(authorization_url(METADATA, wishes, pending(provider=wishes), Asked(hint="ada@x")))
    assert (
        sent
        | {
            "audience": "https://api.example/",
            "resource": "urn:api",
            "prompt": "login",
            "max_age": "60",
            "connection": "a b&c",
            "login_hint": "ada@x",
        }
        == sent
    )


def test_the_callers_wishes_come_first() -> None:
    strict = provider(prompt="login", max_age=60)
    asked = Asked(prompt="consent", max_age=0)
    begun = pending(asked, provider=strict)
    sent = query(authorization_url(METADATA, strict, begun, asked))
    assert (sent["prompt"], sent["max_age"], begun.max_age) == ("consent", "0", 0)
    assert pending(provider=strict).max_age == 60


def test_a_silent_sign_in_asks_for_no_prompt() -> None:
    silent = pending(silent=True)
    sent = query(authorization_url(METADATA, PROVIDER, silent, Asked(prompt="login")))
    assert sent["prompt"] == "none"


def test_an_endpoint_keeps_its_query() -> None:
    endpoint = f"{ISSUER}/auth?p=b2c%20policy"
    url = authorization_url(
        replace(METADATA, authorization_endpoint=endpoint), PROVIDER, PENDING, Asked()
    )
    assert url.startswith(f"{endpoint}&response_type=code&")


@pytest.mark.parametrize("name", ["state", "redirect_uri", "code_challenge_method", "re%73ource"])
def test_an_endpoint_may_not_set_a_parameter_of_ours(name: str) -> None:
    lying = replace(METADATA, authorization_endpoint=f"{ISSUER}/auth?{name}=forged")
    with pytest.raises(SignInFailed) as caught:
        authorization_url(lying, provider(resource="urn:a"), PENDING, Asked())
    assert caught.value.code == "PROVIDER_MISMATCH"
    assert "forged" not in "".join(caught.value.__notes__)


@pytest.mark.parametrize("back", ["//evil", "/\\evil", "https://evil", "javascript:x", "/..//e"])
def test_a_place_to_return_to_is_inside(back: str) -> None:
    assert pending(back=back).back == ""
    assert pending(back="/notes?page=2#top").back == "/notes?page=2#top"


# -- Stored ----------------------------------------------------------------------------------------


def test_a_sign_in_is_stored_and_read_again() -> None:
    full = pending(Asked(max_age=5), back="/#/notes", draft="Ä “draft”\n", silent=True)
    assert PendingSignIn.loads(full.dumps()) == full
    assert PendingSignIn.loads(PENDING.dumps()) == PENDING


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "ux1.short"},
        {"state": PENDING.state + "x"},
        {"state": PENDING.state[4:]},
        {"state": None},
        {"nonce": ""},
        {"verifier": "x" * 42},
        {"verifier": "x" * 129},
        {"issuer": None},
        {"client_id": 1},
        {"redirect_uri": []},
        {"at": None},
        {"at": "now"},
        {"at": True},
        {"back": "//evil.example"},
        {"back": "https://evil.example"},
        {"back": None},
        {"draft": None},
        {"max_age": "60"},
        {"max_age": True},
        {"silent": 1},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_record_is_refused(changes: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(PENDING.dumps()), **changes})
    with pytest.raises(ValueError, match=r"^not a sign-in that was stored$"):
        PendingSignIn.loads(text)


@given(st.text() | json_values.map(json.dumps))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a sign-in that was stored$"):
        PendingSignIn.loads(text)


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^not a sign-in"):
        PendingSignIn.loads(replace(PENDING, at=float("nan")).dumps())


def test_a_repr_shows_no_secret() -> None:
    shown = repr(PENDING) + str(PENDING)
    assert not [one for one in (PENDING.state, PENDING.nonce, PENDING.verifier) if one in shown]


# -- Whose answer it is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "redirect_uri"),
    [
        (answer(), HERE),
        (answer({"error": "access_denied", "state": PENDING.state}), HERE),
        (answer(session_state="x", iss=ISSUER) + "#/notes", HERE),
        (answer(at="https://app.example/"), "https://app.example"),
        (answer(at="https://app.example"), "https://app.example/"),
        (answer(at="https://app.example/callback"), "https://APP.example:443/callback"),
        (answer(at="http://127.0.0.1:8000/callback"), "http://127.0.0.1:8000/callback"),
        (answer(at=f"{HERE}?from=a%20b"), f"{HERE}?from=a+b"),
        (f"{HERE}?code=c&state=ux1.forged", HERE),
        (answer([*GOOD.items(), ("state", "other")]), HERE),
    ],
)
def test_an_answer_to_us_is_known(url: str, redirect_uri: str) -> None:
    assert is_answer(url, redirect_uri)


@pytest.mark.parametrize(
    "url",
    [
        HERE,
        answer({"code": "c1"}),
        answer({"state": PENDING.state}),
        answer({"code": "c1", "state": "of-another-library"}),
        answer({"code": "c1", "state": f"x{PENDING.state}"}),
        answer({"Code": "c1", "State": PENDING.state}),
        answer({"code": "c1", "state": PENDING.state}).replace("?", "#"),
        answer({"code": "c1", "state": PENDING.state}).replace("?", "#?"),
        answer(at="https://app.example/callback/"),
        answer(at="https://app.example/Callback"),
        answer(at="https://app.example/call%62ack"),
        answer(at="https://app.example/x/../callback"),
        answer(at="https://app.example"),
        answer(at="http://app.example/callback"),
        answer(at="https://app.example:8443/callback"),
        answer(at="https://app.example.evil.example/callback"),
        answer(at="https://ada@app.example/callback"),
        answer(at="https://evil.example/callback"),
        answer(at="/callback"),
        f" {answer()}",
        "https://[::1/callback?code=c&state=ux1.x",
        "",
    ],
)
def test_any_other_address_is_left_as_it_is(url: str) -> None:
    assert not is_answer(url, HERE)


def test_the_redirect_uris_own_query_must_be_there() -> None:
    assert not is_answer(answer(), f"{HERE}?from=provider")
    assert not is_answer(answer(at=f"{HERE}?from=other"), f"{HERE}?from=provider")


@pytest.mark.parametrize(
    ("url", "left"),
    [
        (answer(), HERE),
        (answer(iss=ISSUER, session_state="s", error="e", error_description="d"), HERE),
        (f"{HERE}?a=1&code=c&b=%41+x&state=s&c&#/x?code=x", f"{HERE}?a=1&b=%41+x&c&#/x?code=x"),
        (f"{HERE}?c%6fde=c&%73tate=s&error_uri=u&a=b", f"{HERE}?a=b"),
        (f"{HERE}?codes=1&mystate=2&code", f"{HERE}?codes=1&mystate=2"),
        (f"{HERE}?code=1&code=2&state=3&state=4", HERE),
        (HERE, HERE),
    ],
)
def test_the_answer_leaves_the_address_and_nothing_else_does(url: str, left: str) -> None:
    assert cleaned(url) == left


def test_a_state_that_is_not_ours_is_no_key() -> None:
    """A state names what is stored, so one with other characters must not reach the storage."""
    assert state_of(answer()) == PENDING.state
    for state in ("", "ux1.", "x", f"{PENDING.state}x", "ux1." + "/" * 43, "ux1." + "é" * 43):
        assert state_of(answer({"state": state, "code": "c"})) is None
    assert state_of(answer([*GOOD.items(), ("state", PENDING.state)])) is None
    assert state_of(HERE) is None
    assert state_of("https://[") is None


# -- What it says ----------------------------------------------------------------------------------


def test_a_good_answer_has_a_code() -> None:
    assert code_in(answer(), PENDING, PROVIDER, METADATA, NOW + 599) == "c1"
    assert code_in(answer(iss=ISSUER), PENDING, PROVIDER, METADATA, NOW) == "c1"
    assert code_in(answer(iss=ISSUER), PENDING, PROVIDER, STRICT, NOW) == "c1"
    assert code_in(answer(tag="a") + "&tag=b", PENDING, PROVIDER, METADATA, NOW) == "c1"


FORGED = {
    "empty": "",
    "short": "ux1.x",
    "of another sign-in": pending().state,
    "in lower case": PENDING.state.lower(),
    "missing": None,
}


@pytest.mark.parametrize("state", FORGED.values(), ids=FORGED)  # It is another in each process.
def test_a_forged_state_gets_nothing(state: str | None) -> None:
    given = {"code": "c1"} if state is None else {"code": "c1", "state": state}
    for one in (given, {**given, "error": "access_denied"}, {**given, "iss": "https://evil"}):
        assert failure(answer(one)).code == "UNKNOWN_SIGN_IN"


@pytest.mark.parametrize("name", ["code", "state", "iss", "error", "error_description"])
def test_a_repeated_parameter_gets_nothing(name: str) -> None:
    full = {**GOOD, "iss": ISSUER, "error": "access_denied", "error_description": "d"}
    repeated = failure(answer([*full.items(), (name, full[name])]))
    assert repeated.code == "BAD_ANSWER"
    assert name in repeated.__notes__[0]


@pytest.mark.parametrize("later", [600.1, 3600, -600.1, 1e12])
def test_an_answer_that_comes_too_late_gets_nothing(later: float) -> None:
    for url in (answer(), answer({"error": "access_denied", "state": PENDING.state})):
        assert failure(url, now=NOW + later).code == "SIGN_IN_TIMED_OUT"


@pytest.mark.parametrize(
    "iss", ["", "https://evil.example", f"{ISSUER}/", ISSUER.upper(), f"{ISSUER} ", "null"]
)
@pytest.mark.parametrize("metadata", [METADATA, STRICT])
def test_an_answer_of_another_provider_gets_nothing(iss: str, metadata: Metadata) -> None:
    for one in (GOOD, {"error": "access_denied", "state": PENDING.state}):
        mixed_up = failure(answer(one, iss=iss), metadata=metadata)
        assert mixed_up.code == "PROVIDER_MISMATCH"
        assert "evil" not in mixed_up.__notes__[0]


def test_a_promised_iss_may_not_be_missing() -> None:
    assert failure(answer(), metadata=STRICT).code == "PROVIDER_MISMATCH"
    refused = answer({"error": "access_denied", "state": PENDING.state})
    assert failure(refused, metadata=STRICT).code == "PROVIDER_MISMATCH"


def test_any_tenant_may_answer_where_all_are_asked() -> None:
    everyone = provider(issuer=TENANTS, discovery_url=f"{ISSUER}/common/x")
    begun = pending(provider=everyone)
    given = {"code": "c1", "state": begun.state}
    for iss in ("https://login.example/t-1/v2.0", TENANTS.replace("{tenantid}", "0" * 36)):
        assert code_in(answer(given, iss=iss), begun, everyone, METADATA, NOW) == "c1"
    for iss in (TENANTS, "https://login.example/a/b/v2.0", "https://login.example//v2.0", ISSUER):
        mixed_up = failure(answer(given, iss=iss), of=begun, provider=everyone)
        assert mixed_up.code == "PROVIDER_MISMATCH"


@pytest.mark.parametrize("other", [{"issuer": "https://evil.example"}, {"client_id": "orders"}])
def test_an_answer_to_other_settings_gets_nothing(other: dict[str, Any]) -> None:
    assert failure(answer(), provider=provider(**other)).code == "PROVIDER_MISMATCH"


def test_an_answer_at_another_address_gets_nothing() -> None:
    for at in (f"{HERE}/", "https://evil.example/callback", "http://app.example/callback"):
        assert failure(answer(at=at)).code == "BAD_ANSWER"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("access_denied", "access_denied"),
        ("Access_Denied", "access_denied"),
        ("invalid_scope", "invalid_scope"),
        ("UNTRUSTED_TOKEN", "untrusted_token"),
        ("", "BAD_ANSWER"),
        ("Call 555-1234 now!", "BAD_ANSWER"),
        ("<script>", "BAD_ANSWER"),
        ("x" * 65, "BAD_ANSWER"),
        ("é", "BAD_ANSWER"),
    ],
)
def test_the_providers_error_is_its_code_and_never_its_text(error: str, code: str) -> None:
    given = {"error": error, "error_description": "Call 555!", "state": PENDING.state, "code": "c"}
    failed = failure(answer(given))
    assert failed.code == code
    assert str(failed) == SIGN_IN_MESSAGES.get(code, SignInFailed.message)
    assert "555" not in repr((failed, vars(failed)))


@pytest.mark.parametrize("code", ["", "a\nb", "é", "\x00", "x" * 20_000])
def test_a_code_that_no_request_can_hold_is_none(code: str) -> None:
    assert failure(answer({"code": code, "state": PENDING.state})).code == "BAD_ANSWER"


def test_no_code_is_no_answer() -> None:
    assert failure(answer({"state": PENDING.state})).code == "BAD_ANSWER"


ANY_QUERY = st.lists(
    st.tuples(
        st.sampled_from(["code", "state", "iss", "error", "x", ""]) | st.text(max_size=5),
        st.sampled_from([PENDING.state, "c1", ISSUER]) | st.text(max_size=5),
    ),
    max_size=6,
)


@given(ANY_QUERY.map(lambda pairs: f"{HERE}?{urlencode(pairs, errors='replace')}") | st.text())
def test_any_address_is_an_answer_or_refused(url: str) -> None:
    is_answer(url, HERE)
    state_of(url)
    with suppress(ValueError):
        cleaned(url)
    try:
        code = code_in(url, PENDING, PROVIDER, METADATA, NOW)
    except SignInFailed:
        return
    assert code
    assert parse_qs(urlsplit(url).query)["state"] == [PENDING.state]


@given(ANY_QUERY)
def test_a_cleaned_address_is_no_answer(pairs: list[tuple[str, str]]) -> None:
    url = f"{HERE}?{urlencode(pairs, errors='replace')}"
    assert not is_answer(cleaned(url), HERE)
    assert cleaned(cleaned(url)) == cleaned(url)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_hint_changes_no_other_parameter(hint: str) -> None:
    url = authorization_url(METADATA, PROVIDER, PENDING, Asked(hint=hint))
    plain = query(authorization_url(METADATA, PROVIDER, PENDING, Asked()))
    assert parse_qs(urlsplit(url).query).get("login_hint", [""]) == [hint]
    assert {name: value for name, value in query(url).items() if name != "login_hint"} == plain
    assert quote(hint, safe="") in url


def test_a_challenge_says_nothing_of_its_verifier() -> None:
    digest = hashlib.sha256(PENDING.verifier.encode()).digest()
    assert base64.urlsafe_b64decode(code_challenge(PENDING.verifier) + "=") == digest
