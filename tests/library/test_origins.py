"""Which origins may see the token, and what a URL resolves to."""

from __future__ import annotations

import pytest

from unexpired.options import Options
from unexpired.origins import origin_of

PAGE = "https://app.example/notes/index.html?x=1#/notes"


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("/api/me", "https://app.example/api/me"),
        ("api/me", "https://app.example/notes/api/me"),
        ("https://other.example/x", "https://other.example/x"),
        ("//other.example/x", "https://other.example/x"),
    ],
)
def test_without_a_base_url_the_page_resolves(url: str, resolved: str) -> None:
    assert Options(page_url=PAGE).resolve(url) == resolved


@pytest.mark.parametrize(
    ("url", "resolved"),
    [
        ("/me", "https://api.example/v1/me"),
        ("me", "https://api.example/v1/me"),
        ("", "https://api.example/v1/"),
        ("//evil.example/x", "https://evil.example/x"),
        ("https://evil.example/x", "https://evil.example/x"),
    ],
)
def test_a_base_url_is_put_before_relative_urls(url: str, resolved: str) -> None:
    options = Options(base_url="https://api.example/v1/", page_url=PAGE)
    assert options.resolve(url) == resolved


@pytest.mark.parametrize("url", ["/\\evil", "\t//evil", "/a b", "ht\ntps://evil", " /x", "/\x7f"])
def test_urls_that_browsers_rewrite_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must not hold"):
        Options(page_url=PAGE).resolve(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:pw@api.example/x",
        "//ada@api.example/x",
        "https://api.example:99999/x",
        "https://api.example:x/",
        "http://[::1/x",
    ],
)
def test_urls_that_browsers_refuse_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"host|URL") as raised:
        Options(page_url=PAGE).resolve(url)
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["https://app.example/x", "https://APP.example:443/x", "HTTPS://app.example"]
)
def test_the_own_origin_sees_the_token(url: str) -> None:
    assert Options(page_url=PAGE).trusts(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/x",
        "https://app.example:8443/x",
        "https://evil.example/x",
        "https://app.example@evil.example/",
        "https://user@app.example/",
        "https://app.example.evil.example/",
        "https://evil.example#@app.example/",
        "https://evil.example?@app.example/",
        "https:evil.example",
        "https:///app.example/",
        "https://app.example%2eevil.example/",
        "https://app。example/",
        "https://app.example:/x:1/",
        "https://[app.example]/",
        "ftp://app.example/",
        "javascript:alert(1)",
        "data:text/plain,x",
        "/x",
        "",
    ],
)
def test_no_other_origin_sees_the_token(url: str) -> None:
    assert not Options(page_url=PAGE).trusts(url)


def test_with_a_base_url_the_pages_own_origin_does_not_see_the_token() -> None:
    options = Options(base_url="https://api.example", page_url=PAGE)
    assert options.trusts("https://api.example/x")
    assert not options.trusts("https://app.example/x")


def test_further_origins_are_exact() -> None:
    options = Options(page_url=PAGE, token_origins=("https://files.example:8443",))
    assert options.trusts("https://files.example:8443/a")
    assert not options.trusts("https://files.example/a")


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "files.example", "https://a.example/x"]
)
def test_an_inexact_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="not an exact origin"):
        Options(page_url=PAGE, token_origins=(origin,))


def test_an_ipv6_origin_is_recognised() -> None:
    assert origin_of("http://[::1]:8000/x") == "http://[::1]:8000"


@pytest.mark.parametrize(
    "options",
    [
        {"margin": -1},
        {"refresh_timeout": 0},
        {"timeout": -3},
        {"storage": "cookie"},
        {"on_expired": "explode"},
    ],
)
def test_an_invalid_option_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"margin|storage|on_expired"):
        Options(**options)  # type: ignore[arg-type]
