"""A provider's settings: what cannot be right is refused at once, by its name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.library.test_oidc_metadata import ISSUER, TENANTS, json_values
from unexpired.oidc import Provider
from unexpired.oidc.provider import OWN_PARAMETERS

BY_HAND = {"authorization_endpoint": f"{ISSUER}/auth", "token_endpoint": f"{ISSUER}/token"}


def provider(**values: Any) -> Provider:
    return Provider(**{"issuer": ISSUER, "client_id": "notes", **values})


def test_two_facts_are_enough() -> None:
    one = provider()
    assert (one.scope, one.redirect_uri) == ("openid profile offline_access", "/")
    assert one.known_metadata is None
    assert one == provider()
    assert hash(one) == hash(provider(parameters={"a": "b"}))


GOOD: list[dict[str, Any]] = [
    {"issuer": "http://127.0.0.1:4000"},
    {"issuer": "http://localhost:4000/realms/a/"},
    {"issuer": TENANTS, "discovery_url": "https://login.example/common/v2.0/x"},
    {"issuer": TENANTS, "metadata": BY_HAND},
    {"redirect_uri": "/app/callback?from=provider"},
    {"redirect_uri": "https://app.example/callback"},
    {"redirect_uri": "http://192.168.1.2:8000/callback"},
    {"post_logout_redirect_uri": None},
    {"post_logout_redirect_uri": "/bye"},
    {"scope": "openid"},
    {"prompt": "login consent"},
    {"max_age": 0},
    {"resource": "https://api.example/v1?x=1"},
    {"resource": "urn:api:notes"},
    {"audience": "https://api.example/"},
    {"audience": None, "resource": None},
    {"logout": "returnTo"},
    {"parameters": {"connection": "github", "ui_locales": "de"}},
    {"client_secret": "not secret"},
]


@pytest.mark.parametrize("values", GOOD, ids=str)
def test_what_can_be_right_is_kept(values: dict[str, Any]) -> None:
    made = provider(**values)
    assert {name: getattr(made, name) for name in values} == values


ADDRESSES: list[Any] = [
    *("http://login.example", "login.example", "//login.example", "javascript:alert(1)", "ftp://a"),
    *("https://ada@login.example", "https://login.example\\", "https://login example", "https://"),
    *("https://login.example:x", "https://login.example#", None, 1, ["https://login.example"]),
]
BAD: list[tuple[str, Any]] = [
    *(("issuer", value) for value in (*ADDRESSES, "", f"{ISSUER}?", f"{ISSUER}?a=b", TENANTS)),
    *(("discovery_url", value) for value in ADDRESSES),
    *(("client_id", value) for value in ("", None, 1, "a\nb", "é", "a\x00")),
    *(("client_secret", value) for value in (None, 1, "a\nb", "é")),
    *(("audience", value) for value in (1, "a\nb", ["a"])),
    *(("resource", value) for value in (1, "api", "/api", "https://api.example#x", "a: b")),
    *(("scope", value) for value in (None, 1, "", " openid", "a  b", "a\tb", 'a"b', ["openid"])),
    *(("prompt", value) for value in (None, 1, " login", "none", "login none", "a\nb")),
    *(("max_age", value) for value in (-1, 1.5, "60", True, float("nan"))),
    *(("dpop", value) for value in (None, 1, "true")),
    *(("silent", value) for value in (None, 0, "false")),
    *(("logout", value) for value in ("", None, "returnto", 1)),
    *(("metadata", value) for value in ("x", 1, {}, {"token_endpoint": f"{ISSUER}/token"})),
    ("metadata", [BY_HAND]),
    ("metadata", {**BY_HAND, "issuer": "https://evil.example"}),
    ("metadata", {**BY_HAND, "end_session_endpoint": "javascript:alert(1)"}),
]
PLACES: list[Any] = [
    *("callback", "?callback", "#callback", "/callback#", "//evil.example", "/\\evil.example"),
    *("javascript:alert(1)", "https://", "https://app.example/a b", "https://ada@app.example/"),
    *("com.example.app:/callback", "/\tcallback", 1, ["/"]),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *BAD,
        *(("redirect_uri", value) for value in (*PLACES, "", None)),
        *(("post_logout_redirect_uri", value) for value in PLACES),
    ],
    ids=str,
)
def test_what_cannot_be_right_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^provider: {'' if value == TENANTS else name}"):
        provider(**{name: value})


def test_several_tenants_need_an_address_to_ask() -> None:
    with pytest.raises(ValueError, match=r"^provider: discovery_url .*\{tenantid\}"):
        provider(issuer=TENANTS)


def test_metadata_by_hand_need_no_discovery() -> None:
    known = provider(metadata=BY_HAND).known_metadata
    assert known is not None
    assert (known.issuer, known.token_endpoint) == (ISSUER, f"{ISSUER}/token")
    with pytest.raises(ValueError, match="discovery_url"):
        provider(metadata=BY_HAND, discovery_url=f"{ISSUER}/x")


@pytest.mark.parametrize("name", [*sorted(OWN_PARAMETERS), ""])
def test_a_parameter_of_the_librarys_own_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^provider: parameters"):
        provider(parameters={name: "x"})


@pytest.mark.parametrize("parameters", [None, [], "a=b", {"a": 1}, {"a": None}, {1: "a"}])
def test_a_parameter_is_a_text(parameters: object) -> None:
    with pytest.raises(TypeError, match=r"^provider: parameters"):
        provider(parameters=parameters)


def test_a_table_that_is_changed_later_changes_nothing() -> None:
    parameters = {"a": "b"}
    made = provider(parameters=parameters)
    parameters["state"] = "forged"
    assert made.parameters == {"a": "b"}


def test_a_page_may_not_have_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "emscripten")
    with pytest.raises(ValueError, match=r"^provider: client_secret .* page"):
        provider(client_secret="SECRET")


def test_a_repr_shows_no_secret() -> None:
    made = provider(client_secret="SECRET", parameters={"key": "SECRET"})
    assert "SECRET" not in repr(made)
    assert "notes" in repr(made)


def test_an_error_shows_no_secret() -> None:
    with pytest.raises(ValueError, match="client_secret") as caught:
        provider(client_secret="SECRET\n")
    assert "SECRET" not in str(caught.value)


@given(st.sampled_from([*Provider.__dataclass_fields__]), json_values)
def test_any_value_is_kept_or_refused(name: str, value: object) -> None:
    try:
        provider(**{name: value})
    except (ValueError, TypeError) as error:
        assert str(error).startswith("provider: ")  # noqa: PT017 - either is right


def test_the_package_is_light() -> None:
    code = (
        "import sys; from unexpired.oidc import Provider\n"
        "print('unexpired.oidc.presets' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "False\n", done.stderr
