"""Reading a token's claims, and whether it expires soon."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest

from tests.library.conftest import NOW
from tests.support.fake_server import make_token
from unexpired import claims, expires_at, is_expiring_soon


def _encoded(payload: str) -> str:
    body = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2ln"


def test_claims_are_read_without_a_key() -> None:
    assert claims(make_token())["sub"] == "1"


UNREADABLE = [
    *("", "a.b.c", "x" * 20_000, "é.é.é", "\ud800", "a.é.c", "a.e30", "a.e30.c.d", "a.e3*0.c"),
    *(_encoded("[]"), _encoded("null"), _encoded('{"exp": 1'), "a._w.c", "a.e.c"),
]


@pytest.mark.parametrize("token", UNREADABLE)
def test_an_unreadable_token_raises_an_error_that_does_not_quote_it(token: str) -> None:
    with pytest.raises(ValueError, match=r"^not a readable token$"):
        claims(token)


@pytest.mark.parametrize("deep", ['{"a":' + "[" * 9_000, "[" * 200 + "]" * 200, '{"a":' * 2_000])
def test_nesting_is_refused_before_anything_recursive_reads_it(
    deep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In WebAssembly a RecursionError ends Python, and nothing can catch it."""
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was parsed"))
    with pytest.raises(ValueError, match=r"^not a readable token$"):
        claims(_encoded(deep))


def test_brackets_in_a_text_are_no_nesting() -> None:
    brackets = r"\"[{\\" * 300
    assert claims(_encoded(f'{{"name": "{brackets}"}}'))["name"] == '"[{\\' * 300


def test_many_claims_are_no_nesting() -> None:
    roles = {f"app{n}": {"roles": ["a"]} for n in range(200)}
    assert claims(_encoded(json.dumps(roles))) == roles


def test_a_token_is_read_with_the_standard_library_only() -> None:
    """PyJWT needs ``ssl``, which Pyodide up to 0.29 does not have."""
    code = (
        "import sys; sys.modules.update(jwt=None, ssl=None)\n"
        f"from unexpired import claims; print(claims({make_token()!r})['sub'])"
    )
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1\n", done.stderr


def test_the_expiry_is_read_in_unix_seconds() -> None:
    assert expires_at(make_token(NOW, 900)) == NOW + 900


@pytest.mark.parametrize(
    "exp", ["true", '"1800000000"', "null", "[]", "NaN", "1e400", "-1", "1" + "0" * 400]
)
def test_an_unusable_expiry_is_none_and_counts_as_expiring(exp: str) -> None:
    token = _encoded(f'{{"exp": {exp}}}')
    assert expires_at(token) is None
    assert is_expiring_soon(token, now=0)


@pytest.mark.parametrize(("left", "soon"), [(61, False), (60, True), (59, True), (-1, True)])
def test_a_minute_is_soon(left: float, soon: bool) -> None:  # noqa: FBT001
    assert is_expiring_soon(make_token(NOW, 900), now=NOW + 900 - left) is soon


def test_the_buffer_is_in_seconds() -> None:
    token = make_token(NOW, 900)
    assert not is_expiring_soon(token, 5, now=NOW + 890)
    assert is_expiring_soon(token, buffer_seconds=15, now=NOW + 890)


def test_the_default_time_is_the_device_clock() -> None:
    assert is_expiring_soon(_encoded(json.dumps({"exp": 1})))
    assert not is_expiring_soon(_encoded(json.dumps({"exp": 9_999_999_999})))


def test_no_token_counts_as_expiring() -> None:
    assert is_expiring_soon(None)
