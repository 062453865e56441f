"""Requests with ``auth=False`` and ``auth="optional"``: what a page shows to everyone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.library.conftest import World, session_of
from tests.library.test_async_client import Page
from tests.library.test_policy import EXPIRED, OK, access, bearer, finish, start
from tests.library.test_sync_client import Program
from tests.support.fake_server import API, error_response, json_response, token_fields
from unexpired import (
    NotSignedIn,
    ReplayImpossible,
    Request,
    Response,
    SessionEnded,
    SessionExpired,
    Unreachable,
)
from unexpired.effects import Refresh
from unexpired.messages import Auth
from unexpired.worker_messages import perform, worker_request

REFUSED = error_response(401, "REFRESH_REUSED")
REVOKED = error_response(401, "SESSION_REVOKED")


def call(world: World, auth: Auth, method: str = "GET", body: Any = None) -> Any:
    request = Request(method, f"{API}/api/prices", body=body, auth=auth)
    return world.policy.call(request)


# -- auth=False ------------------------------------------------------------------------------------


@pytest.mark.parametrize("response", [OK, EXPIRED, REVOKED, error_response(403, "INVALID_TOKEN")])
def test_a_public_request_is_sent_without_the_token_and_its_response_is_data(
    world: World, response: Response
) -> None:
    world.sign_in()
    flow = call(world, auth=False)
    assert bearer(start(flow)) is None
    assert finish(flow, response) is response
    assert world.session.state == "active"


def test_a_public_request_needs_no_session_and_no_refresh(world: World) -> None:
    assert bearer(start(call(world, auth=False))) is None
    world.sign_in()
    world.clock.advance(10_000)
    assert bearer(start(call(world, auth=False))) is None


# -- auth="optional" -------------------------------------------------------------------------------


def test_an_optional_request_has_the_token_if_there_is_one(world: World) -> None:
    assert bearer(start(call(world, "optional"))) is None
    world.sign_in()
    assert bearer(start(call(world, "optional"))) == access(world)


@pytest.mark.parametrize("response", [OK, EXPIRED, REVOKED])
def test_an_optional_request_without_a_session_returns_what_comes(
    world: World, response: Response
) -> None:
    flow = call(world, "optional")
    start(flow)
    assert finish(flow, response) is response
    assert world.events() == []


def test_an_optional_request_refreshes_and_repeats_as_any_other(world: World) -> None:
    world.sign_in()
    flow = call(world, "optional")
    start(flow)
    assert isinstance(flow.send(EXPIRED), Refresh)
    world.renew(json_response(200, token_fields(2)))
    assert bearer(flow.send(None)) == access(world)
    assert finish(flow, OK) is OK


def test_an_optional_request_whose_session_was_revoked_is_sent_once_without_the_token(
    world: World,
) -> None:
    world.sign_in()
    flow = call(world, "optional")
    start(flow)
    assert bearer(flow.send(REVOKED)) is None
    assert finish(flow, REVOKED) is REVOKED
    assert world.events() == ["signed_in", "expired"]


def test_an_optional_request_whose_refresh_is_refused_is_sent_without_the_token(
    world: World,
) -> None:
    world.sign_in()
    world.clock.advance(901)
    flow = call(world, "optional")
    assert isinstance(start(flow), Refresh)
    with pytest.raises(SessionExpired):
        world.renew(REFUSED)
    assert bearer(flow.throw(SessionExpired("REFRESH_REUSED"))) is None
    assert finish(flow, OK) is OK
    assert world.events() == ["signed_in", "expired"]


def test_after_the_session_has_ended_an_optional_request_is_anonymous(world: World) -> None:
    world.sign_in()
    assert world.session.record is not None
    world.session.expire(world.session.record.generation, "TOKEN_EXPIRED")
    assert bearer(start(call(world, "optional"))) is None


def test_an_outage_is_not_taken_for_a_signed_out_person(world: World) -> None:
    """A signed-in person would see what the page shows to everyone else."""
    world.sign_in()
    world.clock.advance(901)
    flow = call(world, "optional")
    assert isinstance(start(flow), Refresh)
    with pytest.raises(Unreachable):
        world.renew(Response(503))
    world.clock.advance(11)
    with pytest.raises(Unreachable):
        flow.throw(Unreachable())


def test_a_stream_that_was_sent_with_the_token_cannot_be_sent_without_it(world: World) -> None:
    world.sign_in()
    flow = call(world, "optional", "POST", iter([b"x"]))
    start(flow)
    with pytest.raises(ReplayImpossible):
        flow.send(REVOKED)


def test_a_read_is_repeated_if_the_person_signs_out_meanwhile(world: World) -> None:
    """Its response was for a person who is gone."""
    world.sign_in()
    flow = call(world, "optional")
    start(flow)
    world.session.sign_out("elsewhere")
    assert bearer(flow.send(OK)) is None


def test_a_write_is_not_repeated_if_the_person_signs_out_meanwhile(world: World) -> None:
    """It may have been done already."""
    world.sign_in()
    flow = call(world, "optional", "POST")
    start(flow)
    world.session.sign_out("elsewhere")
    with pytest.raises(SessionEnded):
        flow.send(OK)


# -- In the clients --------------------------------------------------------------------------------


@pytest.fixture
async def tab() -> Page:
    tab = Page()
    await tab.client.sign_in("ada", "pw")
    tab.server.received.clear()
    return tab


@pytest.mark.parametrize("auth", [False, "optional"])
async def test_signed_out_both_are_answered_and_nobody_is_redirected(auth: Auth) -> None:
    tab = Page()
    tab.server.responses["/api/prices"] = lambda _: Response(200)
    assert (await tab.client.get("/api/prices", auth=auth)).status_code == 200
    assert tab.navigator.redirects == []


@pytest.mark.parametrize("auth", [False, "optional"])
def test_signed_out_both_are_answered_by_the_sync_client_too(auth: Auth) -> None:
    program = Program()
    program.server.responses["/api/prices"] = lambda _: Response(401)
    assert program.client.get("/api/prices", auth=auth).status_code == 401
    assert program.navigator.redirects == []


@pytest.mark.parametrize("auth", [False, "optional"])
async def test_signed_out_a_stream_is_read_as_well(auth: Auth) -> None:
    tab = Page()
    tab.server.responses["/api/prices"] = lambda _: Response(200, content=b"1\n2\n")
    async with tab.client.stream("GET", "/api/prices", auth=auth) as response:
        assert [line async for line in response.aiter_lines()] == ["1", "2"]
    assert tab.navigator.redirects == []


async def test_an_optional_stream_whose_session_was_revoked_is_read_without_the_token(
    tab: Page,
) -> None:
    public = Response(200, content=b"public")
    tab.server.responses["/api/prices"] = lambda r: (
        REVOKED if "authorization" in r.headers else public
    )
    async with tab.client.stream("GET", "/api/prices", auth="optional") as response:
        assert [text async for text in response.aiter_text()] == ["public"]
    assert tab.events[-1] == ("expired", "SESSION_REVOKED")


async def test_an_optional_request_that_finds_the_end_redirects_nobody(tab: Page) -> None:
    tab.server.responses["/api/prices"] = lambda r: REVOKED if "authorization" in r.headers else OK
    assert (await tab.client.get("/api/prices", auth="optional")).status_code == 200
    assert tab.events[-1] == ("expired", "SESSION_REVOKED")
    assert tab.navigator.redirects == []


async def test_the_next_request_that_needs_the_session_redirects_once(tab: Page) -> None:
    """Or the person would never learn why nothing works."""
    tab.server.responses["/api/prices"] = lambda r: REVOKED if "authorization" in r.headers else OK
    await tab.client.get("/api/prices", auth="optional")
    for _ in range(2):
        with pytest.raises(SessionEnded):
            await tab.client.get("/api/notes")
    assert len(tab.navigator.redirects) == 1


async def test_an_end_that_others_found_first_redirects_as_ever(tab: Page) -> None:
    tab.server.responses["/api/prices"] = lambda _: REVOKED
    with pytest.raises(SessionEnded):
        await tab.client.get("/api/prices")
    await tab.client.get("/api/prices", auth="optional")
    assert len(tab.navigator.redirects) == 1


async def test_a_new_session_forgets_an_end_that_redirected_nobody(tab: Page) -> None:
    tab.server.responses["/api/prices"] = lambda r: REVOKED if "authorization" in r.headers else OK
    await tab.client.get("/api/prices", auth="optional")
    await tab.client.sign_in("ada", "pw")
    await tab.client.sign_out()
    with pytest.raises(NotSignedIn):
        await tab.client.get("/api/notes")
    assert len(tab.navigator.redirects) == 1
    assert not session_of(tab.client).is_end_quiet


async def test_a_public_request_does_not_even_look_at_the_session(tab: Page) -> None:
    """Nor at what other tabs have stored."""
    tab.store.clear()
    tab.server.responses["/api/prices"] = lambda _: OK
    await tab.client.get("/api/prices", auth=False)
    assert tab.names() == ["signed_in"]
    assert tab.navigator.redirects == []


def test_a_public_request_of_the_sync_client_does_not_look_at_it_either() -> None:
    program = Program()
    program.client.sign_in("ada", "pw")
    program.store.clear()
    program.client.get("/api/prices", auth=False)
    assert program.navigator.redirects == []
    assert program.client.state == "active"


@pytest.mark.parametrize("auth", [False, "optional"])
async def test_a_post_keeps_its_idempotency_key(tab: Page, auth: Auth) -> None:
    await tab.client.post("/api/orders", auth=auth)
    assert "idempotency-key" in tab.server.received[-1].headers


@pytest.mark.parametrize(("auth", "has_token"), [(False, False), ("optional", True), (True, True)])
async def test_a_worker_says_it_as_well(tab: Page, auth: Auth, has_token: bool) -> None:  # noqa: FBT001
    await perform(worker_request("GET", "/api/prices", {"auth": auth}), tab.client)
    assert ("authorization" in tab.server.received[-1].headers) is has_token


@pytest.mark.parametrize("auth", [False, "optional"])
def test_the_callers_own_authorization_is_sent_unchanged(world: World, auth: Auth) -> None:
    world.sign_in()
    request = replace(world.get(authorization="Basic eA=="), auth=auth)
    assert bearer(start(world.policy.call(request))) == "Basic eA=="
