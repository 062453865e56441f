"""Dialects: the requests to other servers, and the meaning of their responses."""

from __future__ import annotations

import json
import tomllib
import warnings
from dataclasses import fields, replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.library.conftest import ATTEMPT, NOW, World
from tests.library.test_policy import OK, bearer, finish, sent, start
from tests.support.fake_server import API, error_response, json_response, make_token, token_fields
from tests.support.paths import ROOT
from unexpired import (
    AsyncClient,
    BadCredentials,
    BadReply,
    Client,
    Dialect,
    Headers,
    MemoryStore,
    RateLimited,
    Response,
    SecondStepRequired,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)
from unexpired.effects import Refresh
from unexpired.messages import Request
from unexpired.options import Options
from unexpired.ports import NoNavigator
from unexpired.session_manager import SessionManager
from unexpired.worker_messages import perform, response_from, worker_request

BARE = Response(401)
ONLY_401 = Dialect(bare_401="expired", refused_statuses=frozenset({401}))


def speaking(dialect: Dialect | dict[str, Any], **options: Any) -> World:
    """Return a world whose server has this dialect."""
    # A page's settings hold a table.
    return World(options=Options(base_url=API, dialect=dialect, **options))  # type: ignore[arg-type]


def sign_in_to(world: World, response: Response) -> Request:
    """Sign in with this response; return the request."""
    flow = world.policy.sign_in("s", "ada", "pw")
    request = sent(next(flow))
    with pytest.raises(StopIteration):
        flow.send(response)
    return request


def signed_in(world: World, **names: Any) -> World:
    sign_in_to(world, json_response(200, names or token_fields()))
    return world


def refresh_of(world: World, response: Response) -> Request:
    """Refresh with this response; return the request."""
    flow = world.policy.renew()
    request = sent(next(flow))
    with pytest.raises((StopIteration, UnexpiredError)):
        flow.send(response)
    return request


def sign_out_of(world: World) -> Request:
    return sent(next(world.sign_out()))


def body(request: Request) -> Any:
    assert isinstance(request.body, bytes)
    return json.loads(request.body)


def form(request: Request) -> Any:
    assert isinstance(request.body, bytes)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    return {name: value for name, (value,) in parse_qs(request.body.decode()).items()}


# -- Requests --------------------------------------------------------------------------------------


def test_the_default_dialect_is_our_own() -> None:
    world = speaking(Dialect())
    sign_in = sign_in_to(world, json_response(200, token_fields()))
    refresh, sign_out = refresh_of(world, Response(503)), sign_out_of(world)
    assert body(sign_in) == {"username": "ada", "password": "pw"}
    assert body(refresh) == {"refreshToken": "rt1.1", "attempt": ATTEMPT}
    assert body(sign_out) == {"refreshToken": "rt1.1"}
    for request in (sign_in, refresh, sign_out):
        assert request.method == "POST"
        assert dict(request.headers) == {
            "content-type": "application/json",
            "accept": "application/json",
        }
        assert request.sensitive
    assert [request.keepalive for request in (sign_in, refresh, sign_out)] == [False, False, True]


def test_an_oauth_request_is_a_form_with_a_grant_type() -> None:
    world = signed_in(
        speaking(Dialect.oauth("page"), login_path="/token", refresh_path="/token"),
        access_token=make_token(),
        refresh_token="r1",
    )
    sign_in = sign_in_to(world, json_response(200, {"access_token": "a", "refresh_token": "r1"}))
    assert sign_in.url == f"{API}/token"
    assert form(sign_in) == {
        "grant_type": "password",
        "client_id": "page",
        "username": "ada",
        "password": "pw",
    }
    refresh = refresh_of(world, Response(503))
    assert form(refresh) == {
        "grant_type": "refresh_token",
        "client_id": "page",
        "refresh_token": "r1",
    }
    assert form(sign_out_of(world)) == {
        "token": "r1",
        "token_type_hint": "refresh_token",
        "client_id": "page",
    }


def test_a_form_keeps_every_character_of_a_password() -> None:
    request = Dialect.oauth().sign_in_request(f"{API}/token", "ada", "p&=+ ü%\u2028")
    assert form(request)["password"] == "p&=+ ü%\u2028"
    assert "client_id" not in form(request)


@pytest.mark.filterwarnings("default:The password grant:DeprecationWarning")
def test_a_sign_in_by_the_password_grant_warns_once() -> None:
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("default")
        world = speaking(Dialect.oauth())
        for _ in range(3):
            sign_in_to(world, json_response(200, {"access_token": "a"}))
        signed_in(speaking(Dialect(login_fields={"app": "notes"})), accessToken="a")
        refresh_of(world, Response(503))
    assert [(one.category, "RFC 9700" in str(one.message)) for one in given] == [
        (DeprecationWarning, True)
    ]


def test_a_refresh_token_can_be_sent_as_the_bearer_token() -> None:
    world = speaking(Dialect.flask_jwt_extended())
    signed_in(world, access_token="a1", refresh_token="r1")
    for request in (refresh_of(world, Response(503)), sign_out_of(world)):
        assert (request.headers["authorization"], body(request)) == ("Bearer r1", {})


def test_the_field_of_a_refresh_is_the_last_part_of_the_tokens_path() -> None:
    dialect = Dialect(access_token="data.access.token", refresh_token="data.refresh")
    world = signed_in(speaking(dialect), data={"access": {"token": "a1"}, "refresh": "r1"})
    assert body(refresh_of(world, Response(503))) == {"refresh": "r1"}
    assert body(sign_out_of(world)) == {"refresh": "r1"}


def test_the_fields_of_a_refresh_and_a_sign_out_can_have_names_of_their_own() -> None:
    world = signed_in(speaking(Dialect(refresh_field="old", logout_field="token")))
    assert body(refresh_of(world, Response(503))) == {"old": "rt1.1"}
    assert body(sign_out_of(world)) == {"token": "rt1.1"}


def test_constants_never_replace_a_credential() -> None:
    constants = {"username": "x", "password": "x", "refreshToken": "x", "app": "notes"}
    dialect = Dialect(login_fields=constants, refresh_fields=constants, logout_fields=constants)
    world = speaking(dialect)
    sign_in = body(sign_in_to(world, json_response(200, token_fields())))
    assert sign_in == {**constants, "username": "ada", "password": "pw"}
    assert body(refresh_of(world, Response(503)))["refreshToken"] == "rt1.1"
    assert body(sign_out_of(world))["refreshToken"] == "rt1.1"


def test_without_a_refresh_token_none_is_sent() -> None:
    for dialect in (Dialect(), Dialect(refresh_as="bearer")):
        request = dialect.refresh_request(API, None)
        assert body(request) == {}
        assert "authorization" not in request.headers


def test_headers_of_the_dialects_own_go_with_its_three_requests_only() -> None:
    world = signed_in(speaking(Dialect(token_headers={"X-Key": "k"})))
    call = sent(start(world.policy.call(world.get())))
    refresh, sign_out = refresh_of(world, Response(503)), sign_out_of(world)
    sign_in = sign_in_to(world, json_response(200, token_fields()))
    keys = [one.headers.get("x-key") for one in (sign_in, refresh, sign_out, call)]
    assert keys == ["k", "k", "k", None]


def test_our_own_server_behind_a_gateway_is_our_own() -> None:
    assert Dialect(token_headers={"apikey": "k"}).is_own
    assert not Dialect(logout_as="access_token").is_own


@pytest.mark.parametrize("encoding", ["json", "form"])
def test_a_sign_out_can_present_the_access_token(encoding: Any) -> None:
    dialect = Dialect(logout_as="access_token", logout_fields={"all": 1}, encoding=encoding)
    request = sign_out_of(signed_in(speaking(dialect)))
    assert request.headers["authorization"] == f"Bearer {token_fields()['accessToken']}"
    assert (body if encoding == "json" else form)(request).keys() == {"all"}
    assert request.keepalive


def test_a_server_that_cannot_sign_out_is_sent_nothing() -> None:
    world = signed_in(speaking(Dialect(), logout_path=""))
    assert list(world.sign_out()) == []
    assert world.session.state == "anonymous"


# -- Responses to a sign-in or a refresh -----------------------------------------------------------


def test_tokens_are_found_by_their_paths() -> None:
    dialect = Dialect(
        access_token="data.tokens.access",
        refresh_token="data.tokens.refresh",
        expires_in="data.seconds",
        user="data.account",
    )
    data = {
        "tokens": {"access": "a1", "refresh": "r1"},
        "seconds": 60,
        "account": {"name": "ada"},
    }
    world = signed_in(speaking(dialect), data=data)
    assert world.session.record is not None
    tokens = world.session.record.tokens
    assert (tokens.access_token, tokens.refresh_token, tokens.user) == ("a1", "r1", {"name": "ada"})
    assert tokens.expires_at == NOW + 60


@pytest.mark.parametrize("response", [{"data": []}, {"data": None}, {"data": "a"}, [], {}])
def test_a_missing_path_finds_nothing(response: Any) -> None:
    flow = speaking(Dialect(access_token="data.access")).policy.sign_in("s", "ada", "pw")
    next(flow)
    with pytest.raises(SecondStepRequired if response else Unreachable):
        flow.send(json_response(200, response))


@pytest.mark.parametrize(
    ("dialect", "response", "kind"),
    [
        (Dialect(), BARE, BadCredentials),
        (Dialect(), error_response(401, "ANYTHING"), BadCredentials),
        (Dialect(), error_response(400, "BAD_REQUEST"), BadReply),
        (Dialect(), error_response(403, "BAD_CREDENTIALS"), BadReply),
        (Dialect(), error_response(429, "RATE_LIMITED"), RateLimited),
        (Dialect.oauth(), json_response(400, {"error": "invalid_grant"}), BadCredentials),
        (Dialect.oauth(), json_response(401, {"error": "invalid_client"}), BadReply),
        (Dialect.oauth(), json_response(400, {"error": "invalid_scope"}), BadReply),
        (Dialect.oauth(), json_response(429, {"error": "invalid_grant"}), RateLimited),
        (Dialect.oauth(), json_response(500, {"error": "invalid_grant"}), Unreachable),
        (Dialect.oauth(), BARE, BadCredentials),
        (
            Dialect(error_code="detail", bad_credentials=frozenset({"Incorrect password"})),
            json_response(400, {"detail": "Incorrect password"}),
            BadCredentials,
        ),
        (
            Dialect.simplejwt(),
            json_response(401, {"detail": "No active account found"}),
            BadCredentials,
        ),
        (Dialect.flask_jwt_extended(), json_response(401, {"msg": "Bad password"}), BadCredentials),
        (
            Dialect.fastapi_users(),
            json_response(400, {"detail": "LOGIN_BAD_CREDENTIALS"}),
            BadCredentials,
        ),
        (
            Dialect.fastapi_users(),
            json_response(400, {"detail": "LOGIN_USER_NOT_VERIFIED"}),
            BadReply,
        ),
        (Dialect.article(), json_response(401, {"error": "Invalid credentials"}), BadCredentials),
        (Dialect.article(), json_response(400, {"error": "Missing"}), BadReply),
    ],
)
def test_a_failed_sign_in_raises_the_error_for_its_cause(
    dialect: Dialect, response: Response, kind: type[UnexpiredError]
) -> None:
    flow = speaking(dialect).policy.sign_in("s", "ada", "pw")
    next(flow)
    with pytest.raises(kind) as failed:
        flow.send(response)
    assert type(failed.value) is kind


def test_a_description_for_developers_is_no_message_for_people() -> None:
    flow = speaking(Dialect.oauth()).policy.sign_in("s", "ada", "pw")
    next(flow)
    with pytest.raises(BadReply) as failed:
        flow.send(
            json_response(401, {"error": "invalid_client", "error_description": "client x y"})
        )
    assert str(failed.value) == BadReply.message
    assert (failed.value.status_code, failed.value.code) == (401, "invalid_client")


REFUSED = "REFRESH_INVALID"
PORTAL = Response(401, headers=json_response(401, content_type="text/html; charset=utf-8").headers)


@pytest.mark.parametrize(
    ("dialect", "response", "refused"),
    [
        (Dialect(), error_response(401, "REFRESH_REUSED"), "REFRESH_REUSED"),
        (Dialect(), error_response(400, "SESSION_REVOKED"), "SESSION_REVOKED"),
        (Dialect(), error_response(403, "REFRESH_REUSED"), None),
        (Dialect(), error_response(401, "SOMETHING"), None),
        (Dialect(), BARE, None),
        (Dialect(), Response(404), None),
        (Dialect(refused=frozenset({"OVER"})), error_response(401, "OVER"), REFUSED),
        (Dialect(refused=frozenset({"OVER"})), error_response(401, "REFRESH_REUSED"), None),
        (Dialect.oauth(), json_response(400, {"error": "invalid_grant"}), REFUSED),
        (Dialect.oauth(), json_response(401, {"error": "invalid_client"}), None),
        (Dialect.oauth(), json_response(400, {"error": "invalid_request"}), None),
        (Dialect.oauth(), json_response(503, {"error": "invalid_grant"}), None),
        (Dialect.oauth(), error_response(401, "REFRESH_EXPIRED"), None),
        (Dialect.oauth(), BARE, None),
        (Dialect.simplejwt(), json_response(401, {"code": "token_not_valid"}), REFUSED),
        (Dialect.simplejwt(), BARE, None),
        (Dialect.flask_jwt_extended(), json_response(401, {"msg": "Token has expired"}), REFUSED),
        (Dialect.flask_jwt_extended(), json_response(422, {"msg": "Not enough segments"}), REFUSED),
        (Dialect.flask_jwt_extended(), Response(403), None),
        (Dialect.flask_jwt_extended(), Response(500), None),
        (Dialect.simplejwt(), json_response(401, {"detail": "No active account."}), REFUSED),
        (Dialect.simplejwt(), json_response(403, {"detail": "Forbidden."}), None),
        (Dialect.article(), BARE, REFUSED),
        (Dialect.article(), Response(403), REFUSED),
        (Dialect.article(), error_response(403, "INVALID_TOKEN"), REFUSED),
        (Dialect.article(), error_response(401, "TOKEN_EXPIRED"), REFUSED),
        (Dialect.article(), error_response(401, "REFRESH_REUSED"), "REFRESH_REUSED"),
        (Dialect.article(), PORTAL, None),
        (Dialect.article(), error_response(400, "BAD_REQUEST"), None),
        (Dialect.article(), error_response(429, "INVALID_TOKEN"), None),
        (Dialect.article(), error_response(500, "INVALID_TOKEN"), None),
        (ONLY_401, BARE, REFUSED),
        (ONLY_401, error_response(401, "REFRESH_EXPIRED"), "REFRESH_EXPIRED"),
        (ONLY_401, PORTAL, None),
        (ONLY_401, Response(400), None),
        (ONLY_401, Response(403), None),
        (Dialect(refused_statuses=frozenset({403})), Response(403), REFUSED),
    ],
)
def test_a_refresh_is_refused_only_by_what_the_dialect_says(
    dialect: Dialect, response: Response, refused: str | None
) -> None:
    """After any other response the session is kept and the refresh is tried again."""
    names = {"access": "a", "refresh": "r", "access_token": "a", "refresh_token": "r"}
    world = signed_in(speaking(dialect), **token_fields(), **names)
    refresh_of(world, response)
    assert world.session.record is not None
    assert world.session.record.refused == refused
    assert world.session.state == ("active" if refused else "degraded")


def test_a_refresh_may_bring_no_new_refresh_token() -> None:
    world = signed_in(speaking(Dialect.oauth()), access_token="a1", refresh_token="r1")
    refresh_of(world, json_response(200, {"access_token": "a2", "expires_in": 60}))
    assert world.session.record is not None
    tokens = world.session.record.tokens
    assert (tokens.access_token, tokens.refresh_token) == ("a2", "r1")


def test_a_server_may_ask_to_wait_in_any_dialect() -> None:
    world = signed_in(speaking(Dialect.oauth()), access_token="a1", refresh_token="r1")
    refresh_of(world, json_response(503, {"error": "temporarily_unavailable"}, retry_after="25"))
    assert world.session.pause_left(world.clock.monotonic()) == 25


# -- Responses to other requests -------------------------------------------------------------------


def challenged(status: int, challenge: str) -> Response:
    return json_response(status, {"detail": "No."}, www_authenticate=challenge)


def only_challenged(status: int, challenge: str = 'Bearer error="invalid_token"') -> Response:
    """Return a response without a body, as one to HEAD always is."""
    return json_response(status, www_authenticate=challenge)


READY = (
    *(Dialect(), Dialect.oauth(), Dialect.simplejwt(), Dialect.flask_jwt_extended()),
    Dialect.article(),
)


def test_a_bare_401_leads_to_one_refresh_and_one_replay() -> None:
    """A second 401 is handed back: there is no second refresh."""
    world = signed_in(speaking(ONLY_401))
    flow = world.policy.call(world.get())
    old = bearer(start(flow))
    assert isinstance(flow.send(BARE), Refresh)
    world.renew(json_response(200, token_fields(2)))
    assert bearer(flow.send(None)) != old
    assert finish(flow, BARE) is BARE
    assert world.session.state == "active"


def test_without_a_refresh_token_a_bare_401_ends_the_session() -> None:
    world = signed_in(speaking(ONLY_401), accessToken="a1")
    flow = world.policy.call(world.get())
    start(flow)
    with pytest.raises(SessionExpired):
        flow.send(BARE)


@pytest.mark.parametrize(
    ("dialect", "response"),
    [
        (ONLY_401, challenged(401, 'Bearer realm="x", error="invalid_token"')),
        (ONLY_401, challenged(401, "Bearer")),
        (ONLY_401, error_response(401, "TOKEN_EXPIRED")),
        (ONLY_401, error_response(401, "SOMETHING")),
        (Dialect.oauth(), BARE),
        (Dialect.oauth(), challenged(403, "Bearer error=invalid_token")),
        (Dialect.oauth(), json_response(401, {"error": "Unauthorized"})),
        (Dialect.simplejwt(), json_response(401, {"code": "token_not_valid"})),
        (Dialect.flask_jwt_extended(), json_response(401, {"msg": "Token has expired"})),
        (Dialect.article(), error_response(401, "TOKEN_EXPIRED")),
        *((dialect, only_challenged(status)) for dialect in READY for status in (401, 403)),
        (Dialect(), only_challenged(401, 'DPoP error="invalid_token", algs="ES256"')),
        (Dialect(), only_challenged(401, 'Basic realm="a, b", Bearer error="invalid_token"')),
        (Dialect.oauth(), challenged(403, 'DPoP algs="ES256", error="invalid_token"')),
        (Dialect.oauth(), challenged(403, 'Bearer, DPoP error="invalid_token"')),
        (
            Dialect(error_code="meta.why", expired=frozenset({"old"})),
            json_response(401, {"meta": {"why": "old"}}),
        ),
    ],
)
def test_an_expired_token_is_known_in_each_dialect(dialect: Dialect, response: Response) -> None:
    names = {"access": "a", "refresh": "r", "access_token": "a", "refresh_token": "r"}
    world = signed_in(speaking(dialect), **token_fields(), **names)
    flow = world.policy.call(world.get())
    start(flow)
    assert isinstance(flow.send(response), Refresh)


@pytest.mark.parametrize(
    ("dialect", "response"),
    [
        (Dialect(), BARE),
        (Dialect(), challenged(401, 'Bearer error="invalid_token"')),
        (ONLY_401, Response(403)),
        (ONLY_401, challenged(401, 'Bearer error="insufficient_scope"')),
        (ONLY_401, challenged(401, 'Bearer realm="x", error="invalid_request", scope="y"')),
        (Dialect.oauth(), challenged(403, 'Bearer error="insufficient_scope"')),
        (Dialect(), only_challenged(401, 'Bearer realm="x"')),
        (Dialect(), only_challenged(403, 'Bearer error="insufficient_scope"')),
        (Dialect(), only_challenged(401, 'Bearer realm="x, error=invalid_token"')),
        (Dialect(), only_challenged(401, 'Bearer realm="\\", DPoP error=invalid_token"')),
        (Dialect(), only_challenged(401, 'Digest error="invalid_token"')),
        (Dialect(), only_challenged(401, 'Bearer, Digest error="invalid_token"')),
        (Dialect(), only_challenged(503, 'Bearer error="invalid_token"')),
        (Dialect(), only_challenged(401, 'Bearer error="')),
        (Dialect(), only_challenged(401, '=, ,=""error' + "error =" * 9)),
        (ONLY_401, only_challenged(401, 'DPoP error="use_dpop_nonce"')),
        (ONLY_401, only_challenged(401, 'Bearer, DPoP error="invalid_dpop_proof"')),
        (ONLY_401, challenged(401, 'Bearer error="insufficient_user_authentication"')),
        (Dialect.article(), BARE),
        (Dialect.article(), error_response(403, "TOKEN_ERROR")),
        (Dialect.fastapi_users(), json_response(403, {"detail": "Forbidden"})),
        (Dialect.oauth(), error_response(403, "INVALID_TOKEN")),
        (Dialect.simplejwt(), error_response(401, "TOKEN_EXPIRED")),
        (Dialect.simplejwt(), BARE),
        (Dialect.flask_jwt_extended(), json_response(422, {"msg": "Not enough segments"})),
    ],
)
def test_what_a_dialect_does_not_know_is_handed_back(dialect: Dialect, response: Response) -> None:
    names = {"access": "a", "refresh": "r", "access_token": "a", "refresh_token": "r"}
    world = signed_in(speaking(dialect), **token_fields(), **names)
    flow = world.policy.call(world.get())
    start(flow)
    assert finish(flow, response) is response


@pytest.mark.parametrize(
    ("dialect", "code", "ours"),
    [
        (Dialect(), "INVALID_TOKEN", "INVALID_TOKEN"),
        (Dialect(ended=frozenset({"KICKED"})), "KICKED", "SESSION_REVOKED"),
        (Dialect(bare_401="expired"), "SESSION_REVOKED", "SESSION_REVOKED"),
    ],
)
def test_an_ended_session_has_one_of_our_codes(dialect: Dialect, code: str, ours: str) -> None:
    """So pages need to know only one list of codes."""
    world = signed_in(speaking(dialect))
    flow = world.policy.call(world.get())
    start(flow)
    with pytest.raises(SessionEnded) as ended:
        flow.send(error_response(401, code))
    assert ended.value.code == ours


@pytest.mark.parametrize(
    "response",
    [
        error_response(401, "TOKEN_EXPIRED"),
        error_response(401, "NO_TOKEN"),
        error_response(403, "INVALID_TOKEN"),
        error_response(401, "SESSION_REVOKED"),
        only_challenged(401),
    ],
)
@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/x", "http://api.example/", "https://api.example:8443/", "x:"]
)
def test_what_another_origin_responds_is_handed_back(response: Response, url: str) -> None:
    """A redirect to there has lost the token, so its response says nothing of it."""
    world = signed_in(speaking(Dialect()))
    flow = world.policy.call(world.get())
    start(flow)
    redirected = replace(response, url=url)
    assert finish(flow, redirected) is redirected
    assert world.session.state == "active"


def test_a_redirect_within_the_origin_keeps_the_token_and_its_meaning() -> None:
    world = signed_in(speaking(Dialect()))
    flow = world.policy.call(world.get())
    start(flow)
    url = f"{API.replace('api', 'API')}:443/elsewhere?x=1"
    assert isinstance(flow.send(replace(error_response(401, "TOKEN_EXPIRED"), url=url)), Refresh)


@pytest.mark.parametrize(
    ("dialect", "fields", "message", "code"),
    [
        (Dialect(), {"error": "Taken.", "code": "TAKEN"}, "Taken.", "TAKEN"),
        (Dialect.article(), {"error": "Taken.", "code": "TAKEN"}, "Taken.", "TAKEN"),
        (Dialect.oauth(), {"error": "invalid_scope", "code": "X"}, None, "invalid_scope"),
        (Dialect.simplejwt(), {"detail": "Taken.", "code": "taken"}, "Taken.", "taken"),
        (Dialect.simplejwt(), {"detail": ["Taken."], "error": "x"}, None, None),
        (Dialect.flask_jwt_extended(), {"msg": "Taken.", "code": "x"}, "Taken.", None),
        (Dialect.fastapi_users(), {"detail": "Name is taken"}, "Name is taken", "Name is taken"),
        (Dialect.fastapi_users(), {"detail": "USER_EXISTS"}, None, "USER_EXISTS"),
        (Dialect.fastapi_users(), {"detail": [{"msg": "Taken."}]}, None, None),
        (
            Dialect(message="e.text", error_code="e.id"),
            {"e": {"text": "No.", "id": "n"}},
            "No.",
            "n",
        ),
        (Dialect(message="", error_code=""), {"": "No.", "error": "x"}, None, None),
    ],
)
async def test_raise_for_status_speaks_the_dialect(
    dialect: Dialect, fields: dict[str, Any], message: str | None, code: str | None
) -> None:
    """In both clients, and in a worker that calls through the page's."""
    response = json_response(409, fields)

    class Server:
        async def send(self, _: Request) -> Response:
            return response

    class SyncServer:
        def send(self, _: Request, timeout: float | None) -> Response:  # noqa: ARG002
            return response

    sync_client = Client(SyncServer(), base_url=API, dialect=dialect)
    client = AsyncClient(Server(), base_url=API, dialect=dialect)
    own_token = {"authorization": "Basic x"}
    sent = worker_request("GET", "/", {"headers": own_token})
    responses = [
        sync_client.get("/", headers=own_token),
        await client.get("/", headers=own_token),
        response_from(await perform(sent, client), sent),
    ]
    for each in responses:
        with pytest.raises(BadReply) as failed:
            each.raise_for_status()
        assert str(failed.value) == (message or BadReply.message)
        assert (failed.value.status_code, failed.value.code, each.code) == (409, code, code)


def test_a_successful_response_is_handed_over_unchanged() -> None:
    world = signed_in(speaking(Dialect.oauth()), access_token="a1")
    flow = world.policy.call(world.get())
    start(flow)
    assert finish(flow, OK) is OK


# -- Idempotency keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "given", "sent"),
    [
        (Dialect(), None, True),
        (Dialect(), False, False),
        ({}, None, True),
        ({"bare_401": "expired"}, None, False),
        *((dialect, None, False) for dialect in READY[1:]),
        *((dialect, True, True) for dialect in READY),
    ],
)
def test_a_foreign_server_gets_no_idempotency_key_unasked(
    dialect: Any, given: Any, sent: Any
) -> None:
    """Of another origin, it refuses a header that its CORS does not name."""
    world = World(options=Options(base_url=API, dialect=dialect, idempotency_keys=given))
    manager = SessionManager(world.options, MemoryStore(), NoNavigator(), world.clock)
    request = manager.request("POST", "/notes", {"json": {}})
    assert ("idempotency-key" in request.headers) is sent


# -- Ways to pass a dialect ------------------------------------------------------------------------


def test_a_table_of_the_pages_settings_is_a_dialect() -> None:
    settings = tomllib.loads(
        """
        [unexpired.dialect]
        access_token = "access"
        expired = ["OLD"]
        refused_statuses = [401]
        login_fields = { app = "notes", version = 2 }
        """
    )["unexpired"]
    options = Options(base_url=API, **settings)
    assert options.dialect == Dialect(
        access_token="access",
        expired=frozenset({"OLD"}),
        refused_statuses=frozenset({401}),
        login_fields={"app": "notes", "version": 2},
    )


def test_an_api_that_takes_a_providers_tokens_has_our_codes_and_those_of_bearer_tokens() -> None:
    dialect = Dialect.bearer()
    expired = (
        BARE,
        error_response(401, "TOKEN_EXPIRED"),
        error_response(401, "SOMETHING"),
        Response(401, Headers({"www-authenticate": 'Bearer error="invalid_token"'})),
        Response(403, Headers({"www-authenticate": 'DPoP error="invalid_token"'})),
    )
    assert {dialect.read_response(response).code for response in expired} == {"TOKEN_EXPIRED"}
    assert dialect.read_response(error_response(401, "SESSION_REVOKED")).code == "SESSION_REVOKED"
    forbidden = Response(403, Headers({"www-authenticate": 'Bearer error="insufficient_scope"'}))
    assert dialect.read_response(forbidden).code is None
    # Not our own server: it gets no attempts, no idempotency keys and no proofs.
    assert not any((dialect.is_own, dialect.sends_attempts, dialect.sends_proofs))


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"acess_token": "x"}, "acess_token"),
        ({"access_token": 1}, "access_token is a text"),
        ({"user": None}, "user is a text"),
        ({"encoding": "xml"}, "encoding is one of: json, form"),
        ({"refresh_as": "cookie"}, "refresh_as is one of: field, bearer"),
        ({"bare_401": "ended"}, "bare_401 is one of: handed_back, expired"),
        ({"expired": "TOKEN_EXPIRED"}, "expired is a list of codes"),
        ({"ended": [1]}, "ended is a list of codes"),
        ({"refused_statuses": ["401"]}, "refused_statuses is a list of 4xx"),
        ({"refused_statuses": [429]}, "refused_statuses is a list of 4xx"),
        ({"refused_statuses": [503]}, "refused_statuses is a list of 4xx"),
        ({"login_fields": ["a"]}, "login_fields is a table"),
        ({"login_fields": {"secret": ["s3cret"]}}, "login_fields is a table"),
        ({"logout_fields": {1: "x"}}, "logout_fields is a table"),
        ({"logout_as": "cookie"}, "logout_as is one of: refresh_token, access_token"),
        ({"token_headers": ["a"]}, "token_headers is a table of texts"),
        ({"token_headers": {"apikey": 1}}, "token_headers is a table of texts"),
        ({"token_headers": {"apikey": "s3cret\n"}}, "the value of apikey"),
        ({"token_headers": {"api key": "s3cret"}}, "'api key' is not a name"),
        *(
            ({"token_headers": {name: "s3cret"}}, f"token_headers: {name} is set for each request")
            for name in ("Authorization", "content-type", "Accept", "Cookie", "DPoP")
        ),
        ("oauth", "a table of its attributes"),
        (None, "a table of its attributes"),
    ],
)
def test_an_error_in_a_dialect_names_its_attribute(table: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as mistake:
        Options(base_url=API, dialect=table)
    assert "s3cret" not in str(mistake.value)


def test_the_repr_of_a_dialect_hides_possible_secrets() -> None:
    secret = {"client_secret": "s3cret"}
    dialect = Dialect(
        login_fields=secret,
        refresh_fields=secret,
        logout_fields=secret,
        token_headers={"apikey": "s3cret"},
    )
    assert "s3cret" not in repr(Options(base_url=API, dialect=dialect))


def test_each_attribute_is_documented() -> None:
    assert Dialect.__doc__ is not None
    for attribute in fields(Dialect):
        assert f"        {attribute.name}: " in Dialect.__doc__, attribute.name


def test_the_documented_snippets_make_their_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Options] = []
    monkeypatch.setattr(AsyncClient, "in_browser", lambda **given: made.append(Options(**given)))
    page = ROOT / "docs" / "how-to" / "other-servers.md"
    names: dict[str, Any] = {}
    for block in page.read_text().split("```python")[1:]:
        exec(block.split("```")[0], names)  # noqa: S102 - our own words
    assert [options.refresh_path for options in made] == [
        "/token", "/api/token/refresh/", "/refresh", "/auth/v1/token?grant_type=refresh_token",
    ]  # fmt: skip
    assert made[0].dialect == Dialect.oauth("notes")
    assert names["plain"].bare_401 == "expired"
