"""Which URLs a proof may name for a request: hosts, ports, prefixes, mounts and spellings."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from tests.server.test_proof_checks import request_to
from unexpired_server.http.request_urls import RequestURLs
from unexpired_server.tokens.proof_urls import normal_path, normal_url


def accepts(url: str, request: HTTPConnection, public_url: str | None = None) -> bool:
    """Whether a proof for this URL is one for this request."""
    return normal_url(url) in RequestURLs(public_url).of(request)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("https://api.example", "https://api.example/"),
        ("https://api.example/", "https://api.example/"),
        ("HTTPS://API.Example/A", "https://api.example/A"),
        ("https://api.example:443/a", "https://api.example/a"),
        ("https://api.example:/a", "https://api.example/a"),
        ("https://api.example:0443/a", "https://api.example/a"),
        ("https://api.example:80/a", "https://api.example:80/a"),
        ("http://api.example:80/a", "http://api.example/a"),
        ("http://api.example:443/a", "http://api.example:443/a"),
        ("wss://api.example:443/a", "https://api.example/a"),
        ("ws://api.example:8000/a", "http://api.example:8000/a"),
        ("http://[::1]:8000/a", "http://[::1]:8000/a"),
        ("http://[0:0:0:0:0:0:0:1]/a", "http://[::1]/a"),
        ("http://[2001:DB8::00A]/a", "http://[2001:db8::a]/a"),
        ("https://xn--mnchen-3ya.de/a", "https://xn--mnchen-3ya.de/a"),
        ("https://a.example/%7Eada/%61", "https://a.example/~ada/a"),
        ("https://a.example/a%2fb", "https://a.example/a%2Fb"),
        ("https://a.example/%e2%82%ac", "https://a.example/%E2%82%AC"),
        ("https://a.example/a|b", "https://a.example/a%7Cb"),
        ("https://a.example/a%7cb", "https://a.example/a%7Cb"),
        ("https://a.example/a:b@c;d=e,f", "https://a.example/a:b@c;d=e,f"),
        ("https://a.example/100%", "https://a.example/100%25"),
        ("https://a.example//a", "https://a.example//a"),
        ("https://a.example/a/", "https://a.example/a/"),
        ("https://a.example/a/../b", "https://a.example/a/../b"),
    ],
)
def test_all_spellings_of_a_url_have_one_form(text: str, normal: str) -> None:
    assert normal_url(text) == normal
    assert normal_url(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        "", "/a", "//a.example/a", "a.example/a", "https:a.example/a", "https:/a.example/a",
        "https:///a", "https://:443/a", "ftp://a.example/a", "file:///a", "javascript:alert(1)",
        "https://me@a.example/a", "https://me:pw@a.example/a", "https://a.example/a?b",
        "https://a.example?b", "https://a.example/a#b", "https://a.example\\a",
        "https://a.example/a\\b", "https://a.example:x/a", "https://a.example:-1/a",
        "https://a.example:999999/a", "https://a example/a", "https://a.example/a b",
        "https://a.example/a\n", "\nhttps://a.example/a", "https://a.exam\tple/a",
        "https://a.example/ä", "https://\u00e4.example/a", "https://[::1/a", "https://[]/a",
        "https://[1.2.3.4]/a", "https://[::1%25eth0]/a", "https://a%2eexample/a",
        "https://a.example\x00/a", "https://[::ffff:1.2.3.4.5]/a",
        f"https://{'a' * 5000}/a", f"https://a.example/{'a' * 5000}",
    ],
)  # fmt: skip
def test_what_no_client_has_as_its_requests_url_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normal_url(text)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20))
def test_any_path_of_visible_characters_has_a_form_in_percent_encoding(path: str) -> None:
    if set(path) & set("?#\\"):
        with pytest.raises(ValueError, match="not a path"):
            normal_path(path)
    else:
        assert set(normal_path(path)) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/%"
        )


@given(st.text(max_size=80))
def test_no_text_gives_anything_but_a_form_or_a_value_error(text: str) -> None:
    for url in (text, f"https://{text}", f"https://a.example/{text}"):
        try:
            normal_url(url)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("host", "url", "is_same"),
    [
        ("api.example", "https://api.example/a", True),
        ("api.example", "http://api.example/a", True),
        ("api.example", "https://api.example:443/a", True),
        ("api.example:443", "https://api.example/a", True),
        ("api.example:443", "http://api.example/a", False),
        ("api.example:80", "http://api.example/a", True),
        ("API.example", "https://api.EXAMPLE/a", True),
        ("localhost:8000", "http://localhost:8000/a", True),
        ("localhost:8000", "http://localhost:8001/a", False),
        ("localhost:8000", "http://localhost/a", False),
        ("localhost:8000", "http://127.0.0.1:8000/a", False),
        ("[::1]:8000", "http://[::1]:8000/a", True),
        ("[0:0::1]:8000", "http://[::1]:8000/a", True),
        ("api.example", "https://api.example/b", False),
        ("api.example", "https://api.example/a/", False),
        ("api.example", "https://api.example.evil.example/a", False),
        ("me@api.example", "https://api.example/a", False),
        ("api.example/a?", "https://api.example/a", False),
        ("api.example, evil.example", "https://api.example/a", False),
        ("", "https://api.example/a", False),
        ("api.example#", "https://api.example/a", False),
        ("api.example/v1", "https://api.example/v1/a", False),
        ("https://api.example", "https://https//api.example/a", False),
    ],
)
def test_without_a_public_url_the_host_header_names_the_origin(
    host: str,
    url: str,
    is_same: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    assert accepts(url, request_to("/a", host=host)) is is_same


@pytest.mark.parametrize("hosts", [(), ("api.example", "api.example"), ("evil.example", "x")])
def test_without_exactly_one_host_header_no_url_is_accepted(hosts: tuple[str, ...]) -> None:
    headers = [(b"host", host.encode()) for host in hosts]
    assert not RequestURLs().of(request_to("/a", headers=headers))


PUBLIC = "https://app.example/notes"


@pytest.mark.parametrize(
    ("public_url", "path", "url", "is_same"),
    [
        ("https://a.example", "/api/me", "https://a.example/api/me", True),
        ("https://a.example", "/api/me", "https://a.example:443/api/me", True),
        ("https://A.example:443", "/api/me", "https://a.example/api/me", True),
        ("https://a.example", "/api/me", "http://a.example/api/me", False),
        ("https://a.example", "/api/me", "https://api.example/api/me", False),
        (PUBLIC, "/api/me", f"{PUBLIC}/api/me", True),
        (PUBLIC, "/notes/api/me", f"{PUBLIC}/api/me", True),
        (PUBLIC, "/api/me", "https://app.example/api/me", False),
        (PUBLIC, "/notesapi/me", "https://app.example/notesapi/me", False),
        (PUBLIC, "/api/me", f"{PUBLIC}/api/notes", False),
        ("http://[::1]:8000", "/a", "http://[0::1]:8000/a", True),
    ],
)
def test_a_public_url_is_the_only_one_whatever_the_host_header_says(
    public_url: str,
    path: str,
    url: str,
    is_same: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    for host in ("app.internal:8000", "evil.example", ""):
        assert accepts(url, request_to(path, host=host), public_url) is is_same


@pytest.mark.parametrize("path", ["/notes/api/me", "/api/me"])
def test_a_prefix_that_the_server_knows_may_or_may_not_be_in_the_path(path: str) -> None:
    """Uvicorn puts it in front of the path again, as ASGI says, and FastAPI does not."""
    request = request_to(path, root_path="/notes")
    for url in ("https://api.example/notes/api/me", "https://api.example/api/me"):
        assert accepts(url, request)
    assert not accepts("https://api.example/notes/notes/api/me", request)
    assert accepts(f"{PUBLIC}/api/me", request, PUBLIC)
    assert not accepts("https://app.example/api/me", request, PUBLIC)


@pytest.mark.parametrize(
    ("sent", "url"),
    [
        (b"/api/a%20b", "https://api.example/api/a%20b"),
        (b"/api/a%2Fb", "https://api.example/api/a%2fb"),
        (b"/api/%7eada", "https://api.example/api/~ada"),
        (b"/api/a|b", "https://api.example/api/a%7Cb"),
        ("/api/ä".encode(), "https://api.example/api/%C3%A4"),
    ],
)
def test_the_path_counts_as_it_was_sent(sent: bytes, url: str) -> None:
    assert accepts(url, request_to("/api/decoded", raw_path=sent))
    assert not accepts("https://api.example/api/decoded", request_to("/", raw_path=sent))


def test_a_server_that_does_not_say_how_the_path_was_sent_is_taken_at_its_word() -> None:
    request = request_to("/api/a b/€", raw_path=None)
    assert accepts("https://api.example/api/a%20b/%E2%82%AC", request)


@pytest.mark.parametrize("path", ["/a\\b", "/a?b", "*", "a", ""])
def test_what_is_no_path_has_no_url(path: str) -> None:
    assert not RequestURLs().of(request_to(path))


def app_that_checks(url: str, **settings: Any) -> Starlette:
    """An application that says whether a URL is that of the request, also in a mount of a mount."""

    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(accepts(url, request, **settings)))

    route = Route("/me", endpoint)
    return Starlette(
        routes=[route, Mount("/auth", routes=[route, Mount("/v1", app=Starlette(routes=[route]))])]
    )


async def answer(app: Starlette, url: str, root_path: str = "") -> str:
    transport = httpx.ASGITransport(app, root_path=root_path)
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.get(url)).text


@pytest.mark.parametrize("path", ["/me", "/auth/me", "/auth/v1/me"])
@pytest.mark.parametrize("root", ["", "/base"])
async def test_a_mounted_applications_path_is_part_of_the_url(path: str, root: str) -> None:
    url = f"https://api.example{root}{path}"
    assert await answer(app_that_checks(url), f"{url}?query=1", root) == "True"
    assert await answer(app_that_checks("https://api.example/other"), url, root) == "False"
    own = app_that_checks("https://api.example/me")
    assert (await answer(own, url, root) == "True") is (path == "/me")
    public = {"public_url": "https://public.example/base"}
    app = app_that_checks(f"https://public.example/base{path}", **public)
    assert await answer(app, url, root) == "True"
