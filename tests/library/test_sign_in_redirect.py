"""The redirect to the sign-in page and back, and the messages it shows."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from unexpired.sign_in_redirect import (
    is_inside,
    parameter,
    reason_for,
    return_path,
    sentence_for,
    sign_in_url,
)

GOOD = ["/", "/notes", "/notes?page=2#top", "/#/notes", "/.well-known/x", "/a:b?next=//x", "/é"]
EVIL = [
    "//evil",
    "/\\evil",
    "\\\\evil",
    "https:evil",
    "https://evil",
    "javascript:alert(1)",
    "/\t/evil",
    "\n/notes",
    " /notes",
    "/a\x00b",
    "/..//evil",
    "/.//evil",
    "/%2e%2e//evil",
    "/%2E//evil",
    "notes",
    "",
    "#/notes",
    "?x",
]


@pytest.mark.parametrize("address", GOOD)
def test_a_plain_address_of_this_origin_is_kept(address: str) -> None:
    assert is_inside(address)


@pytest.mark.parametrize("address", EVIL)
def test_every_other_address_gives_the_default(address: str) -> None:
    here = f"/login?next={quote(address, safe='')}"
    assert return_path(here, login_url="/login", default="/home") == "/home"


@pytest.mark.parametrize("login_url", ["/login", "#/login", "/app/login?theme=dark"])
@pytest.mark.parametrize("address", ["/notes?page=2&x=a+b#top", "/#/notes?x=1&y=2", "/é?q=%20"])
def test_the_return_path_survives_the_sign_in_page(login_url: str, address: str) -> None:
    url = sign_in_url(login_url, here=address, reason="expired")
    here = f"/{url}" if url.startswith("#") else url
    assert return_path(here, login_url=login_url, default="/") == address
    assert parameter(here, "reason") == "expired"


@pytest.mark.parametrize(
    ("login_url", "here"), [("/login", "/login?next=%2Fx"), ("#/login", "/#/login?reason=expired")]
)
def test_the_sign_in_page_is_no_place_to_return_to(login_url: str, here: str) -> None:
    assert "next" not in sign_in_url(login_url, here=here, reason="expired")
    again = sign_in_url("/x", here=here, reason="")
    assert return_path(again, login_url=login_url, default="/home") == "/home"


def test_without_a_reason_or_a_place_the_sign_in_url_is_bare() -> None:
    assert sign_in_url("/login", here="", reason="") == "/login"


def test_each_known_reason_has_a_message() -> None:
    expired = "Your session has expired. Please log in again."
    assert sentence_for(reason_for("REFRESH_REUSED")) == expired
    revoked = sentence_for(reason_for("SESSION_REVOKED"))
    assert revoked is not None
    assert revoked.startswith(expired)
    assert sentence_for("<script>") is sentence_for(None) is sentence_for("") is None
