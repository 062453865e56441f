"""Times in a token: the limits, the leeway, and invalid numbers."""

import json

import pytest

from tests.server.harness import StartServer, TestServer

INVALID = (403, "INVALID_TOKEN")


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "raw",
    [
        b'"1800000000"', b"true", b"false", b"null", b"[]", b"[1800000000]", b"{}", b"1e400",
        b"-1e400", b"1" + b"0" * 50, b"-1", b"-1" + b"0" * 50, b"253402300800", b"9" * 1000,
        b'""',
    ],
)  # fmt: skip
async def test_a_time_that_is_not_a_plausible_number_is_invalid(
    node: TestServer, claim: str, raw: bytes
) -> None:
    claims = json.dumps(node.claims(**{claim: 424242})).encode().replace(b"424242", raw)
    assert await node.code(node.forge(claims=claims)) == INVALID


@pytest.mark.parametrize("claim", ["exp", "iat"])
async def test_a_missing_time_is_invalid(node: TestServer, claim: str) -> None:
    assert await node.code(node.forge(claims=node.claims(**{claim: None}))) == INVALID


async def test_times_may_have_fractions(node: TestServer) -> None:
    now = node.clock()
    claims = node.claims(iat=now - 0.5, exp=now + 0.5, nbf=now - 0.25)
    assert await node.code(node.forge(claims=claims)) == (200, "")


@pytest.mark.parametrize("leeway", [0, 60])
async def test_a_token_is_valid_until_its_expiry_plus_leeway_and_no_longer(
    start: StartServer, leeway: int
) -> None:
    node = await start(leeway=leeway)
    token = (await node.sign_in())["accessToken"]
    node.clock.advance(900 + leeway - 1)
    assert (await node.me(token)).status_code == 200
    node.clock.advance(0.99)
    assert (await node.me(token)).status_code == 200
    node.clock.advance(0.01)
    response = await node.me(token)
    assert (response.status_code, response.json()["code"]) == (401, "TOKEN_EXPIRED")
    assert response.json()["expiredAt"] == "2027-01-15T08:15:00Z"
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert response.headers["cache-control"] == "no-store"


async def test_expired_and_tampered_is_tampered(node: TestServer) -> None:
    now = int(node.clock())
    claims = node.claims(iat=now - 2000, exp=now - 1100)
    good = node.forge(claims=claims)
    assert await node.code(good) == (401, "TOKEN_EXPIRED")
    assert await node.code(good[:-2] + ("AA" if good[-2:] != "AA" else "BA")) == INVALID
    assert await node.code(node.forge(claims=claims, secret=b"x" * 32)) == INVALID


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_start_in_the_future_is_an_error_beyond_the_leeway(
    node: TestServer, claim: str
) -> None:
    now = int(node.clock())
    within = node.claims(**{claim: now + 60, "exp": now + 800})
    beyond = node.claims(**{claim: now + 61, "exp": now + 800})
    assert await node.code(node.forge(claims=within)) == (200, "")
    assert await node.code(node.forge(claims=beyond)) == (403, "TOKEN_ERROR")


async def test_a_lifetime_that_is_too_long_or_negative_is_invalid(node: TestServer) -> None:
    now = int(node.clock())
    assert await node.code(node.forge(claims=node.claims(exp=now + 900))) == (200, "")
    assert await node.code(node.forge(claims=node.claims(exp=now + 901))) == INVALID
    assert await node.code(node.forge(claims=node.claims(iat=now, exp=now - 1))) == INVALID
    assert await node.code(node.forge(claims=node.claims(iat=0, exp=now + 10))) == INVALID


async def test_a_session_that_was_signed_out_here_is_refused_at_once(node: TestServer) -> None:
    tokens = await node.sign_in()
    await node.http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
    response = await node.me(tokens["accessToken"])
    assert (response.status_code, response.json()["code"]) == (401, "SESSION_REVOKED")


async def test_an_expired_token_says_so_even_when_its_session_is_over(node: TestServer) -> None:
    tokens = await node.sign_in()
    await node.http.post("/api/logout", json={"refreshToken": tokens["refreshToken"]})
    node.clock.advance(961)
    assert (await node.me(tokens["accessToken"])).json()["code"] == "TOKEN_EXPIRED"
