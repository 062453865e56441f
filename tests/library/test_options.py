"""A client's options: what is wrong is named at once."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from unexpired import AsyncClient, Client, ClientOptions, Options

PAGE = "https://app.example/notes/index.html#/notes"


@pytest.mark.parametrize(
    ("base_url", "key"),
    [
        ("", "unexpired"),
        ("/", "unexpired"),
        ("https://APP.example:443/", "unexpired"),
        ("/v1/", "unexpired:https://app.example/v1"),
        ("https://api.example", "unexpired:https://api.example"),
        ("https://api.example/v1/", "unexpired:https://api.example/v1"),
        ("//api.example:8443", "unexpired:https://api.example:8443"),
    ],
)
def test_each_api_has_a_storage_key_of_its_own(base_url: str, key: str) -> None:
    assert Options(base_url=base_url, page_url=PAGE).storage_key == key
    assert Options(base_url=base_url, page_url=PAGE, storage_key="mine").storage_key == "mine"


@pytest.mark.parametrize(
    ("base_url", "page_url", "api"),
    [
        ("", PAGE, "https://app.example"),
        ("/v1/", PAGE, "https://app.example/v1"),
        ("https://api.example/?x=1", "", "https://api.example"),
        ("http://api_server:8000/v1", "", "http://api_server:8000/v1"),
        ("", "", ""),
    ],
)
def test_an_api_is_its_origin_and_its_path(base_url: str, page_url: str, api: str) -> None:
    assert Options(base_url=base_url, page_url=page_url).api == api


@pytest.mark.parametrize(
    "base_url",
    [
        "api.example",
        "api.example:8000",
        "localhost:8000",
        "ftp://api.example",
        "file:///etc",
        "javascript:alert(1)",
        "https://",
        "https://ada:pw@api.example",
        "https://api.example:99999",
        "https://api.example/a b",
        "https://bücher.example",
    ],
)
def test_an_address_that_is_no_api_is_refused_by_its_name(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as raised:
        Options(base_url=base_url, page_url=PAGE)
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"base_url": None}, "base_url"),
        ({"login_url": 7}, "login_url"),
        ({"storage_key": b"k"}, "storage_key"),
        ({"margin": "60"}, "margin"),
        ({"margin": None}, "margin"),
        ({"refresh_timeout": True}, "refresh_timeout"),
        ({"timeout": "30"}, "timeout"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_its_name(
    options: dict[str, Any], name: str
) -> None:
    with pytest.raises(TypeError, match=name):
        Options(**options)


@pytest.mark.parametrize("name", ["margin", "refresh_timeout", "timeout"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1])
def test_a_time_is_finite(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("build", [AsyncClient, Client])
def test_an_option_that_does_not_exist_is_named_with_the_right_one(build: Any) -> None:
    with pytest.raises(TypeError, match=r"no option base_uri; did you mean base_url\?"):
        build(None, base_uri="https://api.example")
    with pytest.raises(TypeError, match=r"no option colour$"):
        build(None, colour="red")


@pytest.mark.parametrize("build", [AsyncClient.on_desktop, Client.on_desktop])
def test_a_program_needs_the_whole_address_of_the_api(build: Any) -> None:
    for base_url in ("", "/v1", "api.example", "ftp://api.example"):
        with pytest.raises(ValueError, match="base_url"):
            build(base_url=base_url)
    with pytest.raises(TypeError, match="base_url"):
        build(base_url=7)
    with pytest.raises(TypeError, match="time_out"):
        build(base_url="https://api.example", time_out=3)


def test_type_checkers_know_every_option() -> None:
    assert {option.name for option in fields(Options)} == ClientOptions.__optional_keys__
    assert not ClientOptions.__required_keys__


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": "X: y"}, "headers"),
        ({"headers": {"X-Name": 7}}, "headers: the value of x-name"),
        ({"event_hooks": [print]}, "event_hooks"),
        ({"event_hooks": {"request": print}}, "event_hooks: request"),
        ({"event_hooks": {"request": [7]}}, "event_hooks: request"),
    ],
    ids=str,
)
def test_headers_and_hooks_of_the_wrong_type_are_refused(options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Options(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"headers": {"Authorization": "Bearer secret"}}, "headers: authorization"),
        ({"headers": {"Content-Type": "text/plain"}}, "headers: content-type"),
        ({"headers": {"Idempotency-Key": "secret"}}, "headers: idempotency-key"),
        ({"headers": {"X-Name": "secret\n"}}, "headers: the value of x-name"),
        ({"event_hooks": {"respond": [print]}}, "event_hooks: 'respond'"),
    ],
    ids=str,
)
def test_headers_and_hooks_that_cannot_be_right_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Options(**options)
    assert "secret" not in str(raised.value)


def test_options_show_no_value_of_a_header() -> None:
    assert "secret" not in repr(Options(headers={"X-Api-Key": "secret"}))  # type: ignore[arg-type]


def test_a_client_that_cannot_await_refuses_a_coroutine_function_as_a_hook() -> None:
    async def hook(_: object) -> None: ...

    class Hook:
        async def __call__(self, _: object) -> None: ...

    transport: Any = None
    for one in (hook, Hook()):
        with pytest.raises(TypeError, match="event_hooks: Client cannot await a response hook"):
            Client(transport, event_hooks={"response": [one]})
    Client(transport, event_hooks={"request": [print]})
