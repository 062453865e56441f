"""The policy, fed by hand: read an effect, send its outcome, read the next."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests.library.conftest import NOW, World, new_session
from tests.support.clock import FakeClock
from tests.support.fake_server import API, error_response, json_response, make_token, token_fields
from unexpired.effects import Effect, Flow, Refresh, Send, Sleep
from unexpired.errors import (
    BadCredentials,
    BadReply,
    NotSignedIn,
    RateLimited,
    ReplayImpossible,
    SessionEnded,
    SessionExpired,
    Unreachable,
)
from unexpired.messages import Headers, Request, Response
from unexpired.options import Options

OK = json_response(200, {"notes": []})
EXPIRED = error_response(401, "TOKEN_EXPIRED")


def finish(flow: Generator[Effect, Any, Any], outcome: Any) -> Any:
    """Send the last outcome; return what the flow returns."""
    with pytest.raises(StopIteration) as stop:
        flow.send(outcome)
    return stop.value.value


def sent(effect: Effect) -> Request:
    assert isinstance(effect, Send)
    return effect.request


def thrown(flow: Flow) -> Effect | None:
    """Throw Unreachable into the flow; return its next effect, or None if it raises the same."""
    try:
        return flow.throw(Unreachable())
    except Unreachable:
        return None


def bearer(effect: Effect) -> str | None:
    return sent(effect).headers.get("authorization")


def access(world: World) -> str:
    assert world.session.record is not None
    return f"Bearer {world.session.record.tokens.access_token}"


def start(flow: Flow) -> Effect:
    return next(flow)


# -- A valid token ---------------------------------------------------------------------------------


def test_a_valid_token_is_sent_once_and_nothing_is_refreshed(world: World) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    assert bearer(start(flow)) == access(world)
    assert finish(flow, OK) is OK


def test_without_a_session_nothing_is_sent(world: World) -> None:
    with pytest.raises(NotSignedIn):
        start(world.policy.call(world.get()))


@pytest.mark.parametrize(
    "response",
    [
        error_response(401, "SOMETHING_ELSE"),
        Response(401),
        error_response(403, "NOT_YOURS"),
        error_response(403, "TOKEN_ERROR"),
        error_response(400, "BAD_REQUEST"),
        Response(405),
        Response(500, content=b"<html>"),
        error_response(500, "TOKEN_EXPIRED"),
        error_response(200, "TOKEN_EXPIRED"),
    ],
)
def test_other_errors_are_handed_back_untouched(world: World, response: Response) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    start(flow)
    assert finish(flow, response) is response
    assert world.session.state == "active"


def test_an_unreachable_api_causes_neither_a_refresh_nor_an_end(world: World) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    start(flow)
    with pytest.raises(Unreachable):
        flow.throw(Unreachable())
    assert world.session.state == "active"


def test_the_callers_own_authorization_is_not_changed(world: World) -> None:
    world.sign_in()
    flow = world.policy.call(world.get(authorization="Basic eA=="))
    assert bearer(start(flow)) == "Basic eA=="
    assert finish(flow, EXPIRED) is EXPIRED


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/api",
        "http://api.example/api",
        "https://api.example:8443/api",
        "https://api.example@evil.example/",
        "https://api@api.example/",
        "https://api.example.evil.example/",
        "//evil.example/",
    ],
)
def test_another_origin_never_sees_the_token(world: World, url: str) -> None:
    world.sign_in()
    flow = world.policy.call(world.get(url))
    assert bearer(start(flow)) is None
    assert finish(flow, EXPIRED) is EXPIRED


# -- An expired token ------------------------------------------------------------------------------


def test_an_expired_response_refreshes_once_and_replays_with_the_new_token(world: World) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    old = bearer(start(flow))
    refresh = flow.send(EXPIRED)
    assert isinstance(refresh, Refresh)
    assert refresh.stale.number == 1
    world.renew(json_response(200, token_fields(2)))
    assert bearer(flow.send(None)) == access(world) != old
    assert finish(flow, OK) is OK


def test_a_second_expired_response_is_handed_back_without_a_loop(world: World) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    start(flow)
    flow.send(EXPIRED)
    world.renew(json_response(200, token_fields(2)))
    flow.send(None)
    assert finish(flow, EXPIRED) is EXPIRED
    assert world.session.state == "active"


@pytest.mark.parametrize("late", [EXPIRED, Response(401), error_response(403, "INVALID_TOKEN")])
def test_a_late_response_for_an_older_generation_is_replayed_without_a_refresh(
    world: World, late: Response
) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    start(flow)
    world.renew(json_response(200, token_fields(2)))
    assert bearer(flow.send(late)) == access(world)
    assert finish(flow, OK) is OK


@pytest.mark.parametrize(("left", "refreshes"), [(61, False), (59, True), (1, True), (-1, True)])
def test_a_token_is_refreshed_a_minute_ahead(world: World, left: float, refreshes: bool) -> None:  # noqa: FBT001
    world.sign_in(life=900)
    world.clock.advance(900 - left)
    assert isinstance(start(world.policy.call(world.get())), Refresh) is refreshes


def test_a_token_that_lives_a_minute_is_not_due_at_once(world: World) -> None:
    world.sign_in(life=60)
    assert isinstance(start(world.policy.call(world.get())), Send)
    world.clock.advance(46)
    assert isinstance(start(world.policy.call(world.get())), Refresh)


@pytest.mark.parametrize("code", ["SESSION_REVOKED", "INVALID_TOKEN", "NO_TOKEN"])
@pytest.mark.parametrize("status", [401, 403])
def test_an_end_code_ends_the_session_once(world: World, status: int, code: str) -> None:
    world.sign_in()
    flows = [world.policy.call(world.get()) for _ in range(20)]
    for flow in flows:
        start(flow)
    for flow in flows:
        with pytest.raises(SessionEnded) as ended:
            flow.send(error_response(status, code))
        assert ended.value.code == code
    assert world.events() == ["signed_in", "expired"]
    assert world.session.state == "expired"


def test_an_end_code_for_the_replay_ends_the_session(world: World) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    start(flow)
    flow.send(EXPIRED)
    world.renew(json_response(200, token_fields(2)))
    flow.send(None)
    with pytest.raises(SessionEnded):
        flow.send(error_response(401, "SESSION_REVOKED"))


def test_simple_mode_ends_with_the_friendly_sentence_when_the_token_expires(world: World) -> None:
    world.sign_in(refreshToken=None)
    world.clock.advance(901)
    flow = world.policy.call(world.get())
    start(flow)
    with pytest.raises(SessionExpired, match=r"^Your session has expired\. Please log in again\.$"):
        flow.send(EXPIRED)
    assert world.events() == ["signed_in", "expired"]


def test_simple_mode_uses_the_token_until_it_expires(world: World) -> None:
    world.sign_in(refreshToken=None)
    world.clock.advance(899)
    assert isinstance(start(world.policy.call(world.get())), Send)


def test_a_clock_that_jumps_does_not_end_a_session_that_cannot_be_renewed(world: World) -> None:
    world.sign_in(refreshToken=None)
    watch = world.policy.stay_ahead(tick=5, is_watched=lambda: True)
    next(watch)
    world.clock.wall += 3600
    for _ in range(3):
        world.clock.ticks += 5
        assert watch.send(None) == Sleep(5)
    flow = world.policy.call(world.get())
    start(flow)
    assert finish(flow, OK) is OK
    assert world.session.state == "active"


def test_simple_mode_ends_when_the_server_says_expired(world: World) -> None:
    world.sign_in(refreshToken=None)
    flow = world.policy.call(world.get())
    start(flow)
    with pytest.raises(SessionExpired):
        flow.send(EXPIRED)


# -- Bodies ----------------------------------------------------------------------------------------


def test_a_replay_sends_the_same_body_and_key(world: World) -> None:
    world.sign_in()
    headers = Headers({"idempotency-key": "k"})
    flow = world.policy.call(Request("POST", f"{API}/api/notes", headers, b"hi"))
    first = sent(start(flow))
    flow.send(EXPIRED)
    world.renew(json_response(200, token_fields(2)))
    again = sent(flow.send(None))
    assert (again.body, again.headers["idempotency-key"]) == (b"hi", "k")
    assert again.headers["authorization"] != first.headers["authorization"]


def test_a_spent_stream_is_never_sent_empty(world: World) -> None:
    world.sign_in()
    flow = world.policy.call(Request("POST", f"{API}/upload", body=iter([b"x"])))
    start(flow)
    flow.send(EXPIRED)
    world.renew(json_response(200, token_fields(2)))
    with pytest.raises(ReplayImpossible):
        flow.send(None)


# -- Failure ---------------------------------------------------------------------------------------


def test_a_failed_early_refresh_does_not_fail_the_request(world: World) -> None:
    world.sign_in()
    world.clock.advance(850)
    flow = world.policy.call(world.get())
    start(flow)
    assert bearer(flow.throw(Unreachable())) == access(world)


def test_during_the_back_off_a_valid_token_is_sent_without_a_refresh(world: World) -> None:
    world.sign_in()
    world.clock.advance(850)
    with pytest.raises(Unreachable):
        world.renew(Response(503))
    assert isinstance(start(world.policy.call(world.get())), Send)
    assert world.session.state == "degraded"


def test_a_request_with_an_expired_token_waits_through_a_short_outage(world: World) -> None:
    world.sign_in()
    world.clock.advance(901)
    flow = world.policy.call(world.get())
    assert isinstance(start(flow), Refresh)
    with pytest.raises(Unreachable):
        world.renew(Response(503))
    pause = flow.throw(Unreachable())
    assert pause == Sleep(1.0)
    world.clock.advance(1.0)
    assert isinstance(flow.send(None), Refresh)
    world.renew(json_response(200, token_fields(2, now=world.clock.wall)))
    assert bearer(flow.send(None)) == access(world)


def test_a_long_outage_is_a_typed_error_and_keeps_the_tokens(world: World) -> None:
    world.sign_in()
    world.clock.advance(901)
    flow = world.policy.call(world.get())
    tries: list[float] = []
    effect: Effect | None = start(flow)
    while effect is not None:
        if isinstance(effect, Sleep):
            world.clock.advance(effect.seconds)
            effect = flow.send(None)
        else:
            tries.append(world.clock.ticks - 901)
            with pytest.raises(Unreachable):
                world.renew(Response(503))
            effect = thrown(flow)
    assert tries == [0, 1, 3, 7]  # The next would be at 15 s, after the timeout of 10 s.
    assert world.session.record is not None
    assert world.events() == ["signed_in", "degraded"]


@pytest.mark.parametrize("response", [429, 503])
def test_nothing_is_sent_before_the_servers_retry_after(world: World, response: int) -> None:
    world.sign_in()
    world.clock.advance(901)
    with pytest.raises(Unreachable) as unreachable:
        world.renew(Response(response, Headers({"retry-after": "5"})))
    assert unreachable.value.retry_after == 5
    world.session.resume()  # It ends our own back-off, not the server's wait.
    assert start(world.policy.call(world.get())) == Sleep(5.0)
    with pytest.raises(Unreachable):
        world.renew(Response(response, Headers({"retry-after": "60"})))
    with pytest.raises(Unreachable):
        start(world.policy.call(world.get()))


@pytest.mark.parametrize(
    "response",
    [
        Response(200, content=b"<html>Welcome to the hotel</html>"),
        Response(200),
        json_response(200, {"refreshToken": "x"}),
        json_response(200, {"accessToken": 7}),
        json_response(200, [1]),
        Response(204),
        Response(302),
        Response(404),
        Response(408),
        Response(425),
        Response(500),
        error_response(400, "BAD_REQUEST"),
        error_response(401, "SOMETHING"),
        error_response(403, "REFRESH_INVALID"),
        error_response(503, "SESSION_REVOKED"),
    ],
)
def test_an_unusable_response_to_a_refresh_keeps_the_old_tokens(
    world: World, response: Response
) -> None:
    world.sign_in()
    before = world.session.require()
    with pytest.raises(Unreachable):
        world.renew(response)
    assert world.session.record is not None
    assert world.session.record.tokens == before.tokens
    assert world.session.state == "degraded"


REFUSALS = ["REFRESH_EXPIRED", "REFRESH_INVALID", "REFRESH_REUSED", "SESSION_REVOKED"]


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize("code", REFUSALS)
def test_after_a_refusal_a_valid_token_is_used_until_it_expires(
    world: World, status: int, code: str
) -> None:
    world.sign_in()
    world.clock.advance(870)
    flow = world.policy.call(world.get())
    start(flow)
    with pytest.raises(SessionExpired):
        world.renew(error_response(status, code))
    assert bearer(flow.throw(SessionExpired(code))) == access(world)
    assert finish(flow, OK) is OK
    assert isinstance(start(world.policy.call(world.get())), Send)
    world.clock.advance(30)
    flow = world.policy.call(world.get())
    start(flow)
    with pytest.raises(SessionEnded if code == "SESSION_REVOKED" else SessionExpired):
        flow.send(EXPIRED)
    assert world.session.events[-1] == ("expired", (code,))
    assert world.events() == ["signed_in", "expired"]


def test_a_refusal_with_twenty_waiting_requests_ends_the_session_once(world: World) -> None:
    world.sign_in()
    world.clock.advance(901)
    flows = [world.policy.call(world.get()) for _ in range(20)]
    assert all(isinstance(start(flow), Refresh) for flow in flows)
    with pytest.raises(SessionExpired):
        world.renew(error_response(401, "REFRESH_EXPIRED"))
    for flow in flows:
        with pytest.raises(SessionExpired):
            flow.throw(SessionExpired("REFRESH_EXPIRED"))
    assert world.events() == ["signed_in", "expired"]


def test_a_refresh_without_a_new_refresh_token_keeps_the_old_one(world: World) -> None:
    world.sign_in()
    fields = token_fields(2)
    del fields["refreshToken"], fields["user"]
    world.renew(json_response(200, fields))
    assert world.session.record is not None
    assert world.session.record.tokens.refresh_token == "rt1.1"
    assert world.session.record.tokens.user == {"id": 1, "username": "ada"}


def test_recovery_is_one_event(world: World) -> None:
    world.sign_in()
    for _ in range(3):
        with pytest.raises(Unreachable):
            world.renew(Response(503))
    world.renew(json_response(200, token_fields(2)))
    assert world.events() == ["signed_in", "degraded", "refreshed", "recovered"]


# -- Meanwhile -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response",
    [json_response(200, token_fields(2)), error_response(401, "SESSION_REVOKED"), Response(503)],
)
def test_a_refresh_that_completes_after_a_sign_out_is_dropped(
    world: World, response: Response
) -> None:
    world.sign_in()
    flow = world.policy.renew()
    next(flow)
    next(world.sign_out())
    with pytest.raises(SessionEnded):
        flow.send(response)
    assert world.session.record is None
    assert world.events() == ["signed_in", "signed_out"]


def test_a_refresh_that_completes_after_another_sign_in_is_dropped(world: World) -> None:
    world.sign_in("a")
    flow = world.policy.renew()
    next(flow)
    world.sign_in("b", 7)
    with pytest.raises(SessionEnded):
        flow.send(json_response(200, token_fields(2)))
    assert world.session.record is not None
    assert world.session.record.tokens.refresh_token == "rt1.7"


@pytest.mark.parametrize("response", [OK, EXPIRED, Response(500)])
def test_a_response_for_a_signed_out_session_is_dropped(world: World, response: Response) -> None:
    world.sign_in()
    flow = world.policy.call(world.get())
    start(flow)
    next(world.sign_out())
    with pytest.raises(SessionEnded):
        flow.send(response)


def test_a_response_for_another_users_session_is_dropped(world: World) -> None:
    world.sign_in("a")
    flow = world.policy.call(world.get())
    start(flow)
    world.sign_in("b")
    with pytest.raises(SessionEnded):
        flow.send(OK)


def test_sign_out_removes_the_session_before_the_request(world: World) -> None:
    world.sign_in()
    flow = world.sign_out()
    request = sent(next(flow))
    assert world.session.record is None
    assert (request.url, request.keepalive) == (f"{API}/api/logout", True)
    with pytest.raises(StopIteration):
        flow.throw(Unreachable())


def test_signing_out_twice_sends_nothing(world: World) -> None:
    with pytest.raises(StopIteration):
        next(world.sign_out())
    assert world.events() == []


# -- Sign-in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "raised"),
    [
        (error_response(401, "BAD_CREDENTIALS"), BadCredentials),
        (error_response(429, "RATE_LIMITED", retry_after="7"), RateLimited),
        (error_response(400, "BAD_REQUEST"), BadReply),
        (Response(200, content=b"<html>"), Unreachable),
        (Response(503), Unreachable),
        (Response(408), Unreachable),
    ],
)
def test_a_failed_sign_in_is_a_typed_error(
    world: World, response: Response, raised: type[Exception]
) -> None:
    flow = world.policy.sign_in("s", "ada", "pw")
    request = sent(next(flow))
    assert request.sensitive
    with pytest.raises(raised):
        flow.send(response)
    assert world.session.state == "anonymous"


def test_a_rate_limit_says_how_long_to_wait(world: World) -> None:
    flow = world.policy.sign_in("s", "ada", "pw")
    next(flow)
    with pytest.raises(RateLimited) as limited:
        flow.send(error_response(429, "RATE_LIMITED", retry_after="7"))
    assert limited.value.retry_after == 7


# -- Time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [-3600.0, 3600.0, -86400.0])
def test_a_wrong_device_clock_costs_no_refresh(world: World, skew: float) -> None:
    world.clock.wall = NOW + skew
    flow = world.policy.sign_in("s", "ada", "pw")
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(json_response(200, token_fields(1, now=NOW)))
    assert isinstance(start(world.policy.call(world.get())), Send)
    world.clock.advance(839)
    assert isinstance(start(world.policy.call(world.get())), Send)
    world.clock.advance(2)
    assert isinstance(start(world.policy.call(world.get())), Refresh)


def test_a_clock_that_jumps_costs_one_refresh(world: World) -> None:
    world.sign_in()
    world.clock.wall += 3600
    assert isinstance(start(world.policy.call(world.get())), Refresh)
    world.renew(json_response(200, token_fields(2, now=NOW)))
    assert isinstance(start(world.policy.call(world.get())), Send)


def test_a_wall_clock_that_jumps_back_does_not_stretch_a_pause(world: World) -> None:
    world.sign_in()
    with pytest.raises(Unreachable):
        world.renew(Response(503))
    world.clock.wall -= 7200
    assert world.session.pause_left(world.clock.monotonic()) == 1.0


# -- Staying ahead ---------------------------------------------------------------------------------


def test_a_visible_page_refreshes_early(world: World) -> None:
    world.sign_in(life=900)
    flow = world.policy.stay_ahead(tick=5, is_watched=lambda: True)
    assert next(flow) == Sleep(5)
    world.clock.advance(841)
    assert isinstance(flow.send(None), Refresh)
    world.renew(json_response(200, token_fields(2, now=world.clock.wall)))
    assert flow.send(None) == Sleep(5)


def test_a_hidden_page_does_not_refresh(world: World) -> None:
    world.sign_in(life=900)
    flow = world.policy.stay_ahead(tick=5, is_watched=lambda: False)
    next(flow)
    for _ in range(720):
        world.clock.advance(5)
        assert flow.send(None) == Sleep(5)


def test_the_next_attempt_waits_for_retry_after(world: World) -> None:
    world.sign_in(life=900)
    flow = world.policy.stay_ahead(tick=60, is_watched=lambda: True)
    next(flow)
    world.clock.advance(841)
    assert isinstance(flow.send(None), Refresh)
    with pytest.raises(Unreachable):
        world.renew(Response(503, Headers({"retry-after": "30"})))
    assert isinstance(flow.throw(Unreachable()), Sleep)
    assert flow.send(None) == Sleep(30)


def test_a_session_that_cannot_be_refreshed_is_announced_once_and_ends(world: World) -> None:
    world.sign_in(life=900, refreshToken=None)
    flow = world.policy.stay_ahead(tick=5, is_watched=lambda: True)
    next(flow)
    world.clock.advance(840)
    assert flow.send(None) == Sleep(5)
    assert world.session.events[-1] == ("expiring", (60.0,))
    world.clock.advance(57)
    assert flow.send(None) == Sleep(3)
    world.clock.advance(3)
    flow.send(None)
    assert world.events() == ["signed_in", "expiring", "expired"]


def test_a_session_that_is_refused_after_its_end_is_announced_and_ends(world: World) -> None:
    """The page was asleep, or the refusal was slow: nobody may be left at "ends in 0 s"."""
    world.sign_in(life=900)
    flow = world.policy.stay_ahead(tick=5, is_watched=lambda: True)
    next(flow)
    world.clock.advance(901)
    assert isinstance(flow.send(None), Refresh)
    world.session.refuse(world.session.require().generation, "REFRESH_INVALID")
    flow.throw(SessionExpired("REFRESH_INVALID"))
    assert flow.send(None) == Sleep(0)
    assert flow.send(None) == Sleep(0)
    assert world.session.events[-1] == ("expiring", (0.0,))
    flow.send(None)
    assert world.events() == ["signed_in", "expiring", "expired"]


def test_a_clock_that_jumps_past_the_end_does_not_bring_it(world: World) -> None:
    """The token is younger than its lifetime, and the server may take it still."""
    world.sign_in(life=900, refreshToken=None)
    flow = world.policy.stay_ahead(tick=5000, is_watched=lambda: True)
    next(flow)
    world.clock.wall += 2000
    assert flow.send(None) == Sleep(900)
    assert world.session.events[-1] == ("expiring", (0.0,))
    world.clock.advance(899)
    assert flow.send(None) == Sleep(1)
    world.clock.advance(1)
    flow.send(None)
    assert world.events() == ["signed_in", "expiring", "expired"]


def test_without_a_session_only_the_clock_is_read(world: World) -> None:
    flow = world.policy.stay_ahead(tick=5, is_watched=lambda: True)
    assert next(flow) == Sleep(5)
    assert flow.send(None) == Sleep(5)


def test_a_token_that_cannot_be_read_is_trusted_until_the_server_objects() -> None:
    world = World(FakeClock(), new_session(), Options(base_url=API))
    world.sign_in(accessToken="opaque", expiresIn=None)
    world.clock.advance(10**9)
    assert isinstance(start(world.policy.call(world.get())), Send)


def test_an_opaque_token_expires_by_expires_in(world: World) -> None:
    world.sign_in(accessToken="opaque", life=900)
    world.clock.advance(841)
    assert isinstance(start(world.policy.call(world.get())), Refresh)


def test_a_token_of_thirty_days_is_not_due_at_once(world: World) -> None:
    world.sign_in(life=30 * 86400)
    assert isinstance(start(world.policy.call(world.get())), Send)


def test_no_repr_contains_a_token(world: World) -> None:
    world.sign_in()
    token = make_token(jti="1")
    flow = world.policy.call(world.get())
    shown = f"{start(flow)!r} {world.session.record!r} {next(world.policy.renew())!r}"
    assert token.split(".")[2] not in shown
    assert "rt1" not in shown
