"""The attempt of a refresh: stored before it is sent, kept until its result is stored."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from tests.library.conftest import ATTEMPT, World
from tests.support.fake_server import API, error_response, json_response, token_fields
from unexpired.dialect import Dialect
from unexpired.effects import Effect, Send, Sleep
from unexpired.errors import SessionEnded, SessionExpired, Unreachable
from unexpired.messages import Response
from unexpired.options import Options
from unexpired.session_record import loads

SUPERSEDED = error_response(409, "REFRESH_SUPERSEDED")
OTHER = "another-tabs-attempt-22"


def sent(effect: Effect) -> dict[str, Any]:
    """Return the fields of a request's JSON body."""
    assert isinstance(effect, Send)
    assert isinstance(effect.request.body, bytes)
    fields: dict[str, Any] = json.loads(effect.request.body)
    return fields


def renewed(n: int = 2) -> Response:
    return json_response(200, token_fields(n))


def finish(flow: Generator[Effect, Any, None], response: Response) -> None:
    with pytest.raises(StopIteration):
        flow.send(response)


def another_tab_stores(world: World, **changes: Any) -> None:
    """Take over a record that another tab has stored in the meantime."""
    text = json.dumps({**json.loads(world.session.require().dumps()), **changes})
    world.session.adopt(loads(text), world.clock.now(), world.clock.monotonic())


@pytest.fixture
def signed_in(world: World) -> World:
    world.sign_in()
    return world


def test_the_attempt_is_in_the_record_before_it_is_sent(signed_in: World) -> None:
    effect = next(signed_in.policy.renew())
    assert sent(effect) == {"refreshToken": "rt1.1", "attempt": ATTEMPT}
    assert signed_in.session.require().attempt == ATTEMPT


def test_a_stored_result_removes_it(signed_in: World) -> None:
    flow = signed_in.policy.renew()
    next(flow)
    finish(flow, renewed())
    assert signed_in.session.require().attempt is None
    stored = signed_in.session.require().dumps()
    assert ATTEMPT not in stored
    assert loads(stored).attempt is None


def test_an_attempt_makes_the_record_no_longer(signed_in: World) -> None:
    """In a full storage there would be no room for it."""
    record = signed_in.session.require()
    assert len(record.dumps()) == len(replace(record, attempt=ATTEMPT).dumps())


@pytest.mark.parametrize("outcome", [Response(503), Unreachable()])
def test_without_a_result_the_same_attempt_is_sent_again(
    signed_in: World, outcome: Response | Unreachable
) -> None:
    for _ in range(3):
        flow = signed_in.policy.renew()
        assert sent(next(flow))["attempt"] == ATTEMPT
        with pytest.raises(Unreachable):
            flow.throw(outcome) if isinstance(outcome, Unreachable) else flow.send(outcome)
    assert signed_in.session.require().attempt == ATTEMPT


def test_an_attempt_from_before_a_reload_is_used_again(signed_in: World) -> None:
    another_tab_stores(signed_in, attempt=OTHER)
    assert sent(next(signed_in.policy.renew()))["attempt"] == OTHER


def test_a_refusal_removes_it(signed_in: World) -> None:
    flow = signed_in.policy.renew()
    next(flow)
    with pytest.raises(SessionExpired):
        flow.send(error_response(401, "REFRESH_REUSED"))
    assert signed_in.session.require().attempt is None


# -- Tabs without a lock ---------------------------------------------------------------------------


def test_without_the_lock_tabs_agree_before_they_send(signed_in: World) -> None:
    flow = signed_in.policy.renew(is_locked=False)
    assert next(flow) == Sleep(0.05, is_wakeable=False)
    assert signed_in.session.require().attempt == ATTEMPT
    another_tab_stores(signed_in, attempt=OTHER)
    assert sent(flow.send(None))["attempt"] == OTHER


def test_with_the_lock_nothing_is_waited_for(signed_in: World) -> None:
    assert isinstance(next(signed_in.policy.renew(is_locked=True)), Send)


def test_a_tab_that_was_faster_saves_the_refresh(signed_in: World) -> None:
    flow = signed_in.policy.renew(is_locked=False)
    next(flow)
    another_tab_stores(signed_in, generation=2, refreshToken="rt1.2", accessToken="newer")
    with pytest.raises(StopIteration):
        flow.send(None)
    assert signed_in.session.require().tokens.refresh_token == "rt1.2"


def test_a_sign_out_while_tabs_agree_ends_the_refresh(signed_in: World) -> None:
    flow = signed_in.policy.renew(is_locked=False)
    next(flow)
    signed_in.session.sign_out("elsewhere")
    with pytest.raises(SessionEnded):
        flow.send(None)


# -- Superseded ------------------------------------------------------------------------------------


def test_superseded_by_another_tabs_refresh_is_no_end(signed_in: World) -> None:
    flow = signed_in.policy.renew()
    next(flow)
    assert flow.send(SUPERSEDED) == Sleep(0.05, is_wakeable=False)
    another_tab_stores(signed_in, generation=3, refreshToken="rt1.3", accessToken="newer")
    with pytest.raises(StopIteration):
        flow.send(None)
    assert signed_in.session.state == "active"


def test_superseded_by_nobody_that_we_know_is_reported_as_the_theft_that_it_is(
    signed_in: World,
) -> None:
    """The thief copied the attempt too. Without it the server ends the session for both."""
    flow = signed_in.policy.renew()
    next(flow)
    flow.send(SUPERSEDED)
    assert sent(flow.send(None)) == {"refreshToken": "rt1.1"}
    with pytest.raises(SessionExpired) as ended:
        flow.send(error_response(401, "REFRESH_REUSED"))
    assert ended.value.code == "REFRESH_REUSED"


# -- Other servers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (Dialect(), "attempt"),
        (Dialect(attempt_field="request_id"), "request_id"),
        (Dialect(message="detail"), None),
        (Dialect.simplejwt(), None),
    ],
)
def test_an_attempt_is_sent_only_to_a_server_that_is_known_to_take_it(
    dialect: Dialect, expected: str | None
) -> None:
    world = World(options=Options(base_url=API, dialect=dialect))
    names = {dialect.access_token: "a", dialect.refresh_token: "r"}
    flow = world.policy.sign_in("s", "ada", "pw")
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(json_response(200, names))
    fields = sent(next(world.policy.renew(is_locked=False)) if not expected else _sent_by(world))
    assert [name for name, value in fields.items() if value == ATTEMPT] == [
        name for name in [expected] if name
    ]


def _sent_by(world: World) -> Effect:
    flow = world.policy.renew(is_locked=False)
    next(flow)
    return flow.send(None)
