"""Opaque tokens of a certified provider, in FastAPI, Starlette and threads, with our codes."""

import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.providers.places import CALLBACK, ORIGIN
from tests.support.django_provider import SERVER_SECRET, DjangoProvider
from tests.support.django_provider import sign_in as sign_in_at_django
from tests.support.oidc_provider import CLIENT_SECRETS, OidcProvider, sign_in
from tests.support.proof_maker import ProofMaker
from tests.support.raw_client import RawClient, tokens_in
from unexpired_server import (
    Auth,
    Call,
    IntrospectionVerifier,
    InvalidProof,
    TokenExpired,
    TokenInvalid,
    Unavailable,
    User,
    requires,
)
from unexpired_server.http import sockets

AUDIENCE = "https://notes.example/opaque"
"""An API for which the provider makes opaque tokens."""


@pytest.fixture
def provider(npm: OidcProvider) -> OidcProvider:
    return npm


@pytest.fixture
def spa(provider: OidcProvider) -> RawClient:
    return RawClient(provider.metadata, "spa", CALLBACK, scope="openid offline_access notes")


class Clock:
    """The time of day, which a test may set forward."""

    offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@pytest.fixture
def clock() -> Clock:
    return Clock()


def verifier_of(provider: OidcProvider, clock: Clock, **options: Any) -> IntrospectionVerifier:
    given: dict[str, Any] = {
        "issuer": provider.issuer,
        "client_id": "api",
        "client_secret": CLIENT_SECRETS["api"],
        "audience": AUDIENCE,
        "now": clock,
    }
    return IntrospectionVerifier(**(given | options))


@pytest.fixture
def verifier(provider: OidcProvider, clock: Clock) -> IntrospectionVerifier:
    return verifier_of(provider, clock)


def signed_in(client: RawClient) -> dict[str, Any]:
    return tokens_in(client.redeem(sign_in(client.authorization_url(resource=AUDIENCE))))


def introspections(provider: OidcProvider) -> list[int]:
    path = provider.metadata["introspection_endpoint"].removeprefix(provider.issuer)
    return [one["status"] for one in provider.log() if one["path"] == path]


# -- Frameworks ------------------------------------------------------------------------------------


def in_fastapi(auth: Auth) -> Starlette:
    app = FastAPI(lifespan=auth.lifespan)

    @app.get("/mine")
    async def mine(user: Annotated[User, Depends(auth.requires("notes"))]) -> dict[str, str]:
        return {"user": user.id}

    @app.get("/admin", dependencies=[Depends(auth.requires("admin"))])
    async def admin() -> None:
        raise AssertionError

    return app


@requires("notes")
async def starlette_mine(request: Request) -> Response:
    user: User = request.user
    return JSONResponse({"user": user.id})


@requires("admin")
async def starlette_admin(request: Request) -> Response:  # noqa: ARG001 - it is looked for
    raise AssertionError


def in_starlette(auth: Auth) -> Starlette:
    routes = [Route("/mine", starlette_mine), Route("/admin", starlette_admin)]
    return Starlette(routes=routes, lifespan=auth.lifespan)


@pytest.fixture(params=[in_fastapi, in_starlette])
def http(request: pytest.FixtureRequest, verifier: IntrospectionVerifier) -> Iterator[TestClient]:
    auth = Auth(verifier=verifier)
    build: Callable[[Auth], Starlette] = request.param
    app = build(auth)
    auth.install(app)
    with TestClient(app) as client:
        yield client


def get(http: TestClient, path: str, token: str | None) -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    response = http.get(path, headers=headers)
    body = response.json()
    return response.status_code, body.get("code", body)


def test_an_api_accepts_the_providers_opaque_tokens(
    provider: OidcProvider, spa: RawClient, http: TestClient
) -> None:
    tokens = signed_in(spa)
    assert "." not in tokens["access_token"]
    provider.log()
    for _ in range(3):
        assert get(http, "/mine", tokens["access_token"]) == (200, {"user": "ada"})
    assert introspections(provider) == [200]
    assert get(http, "/admin", tokens["access_token"]) == (403, "FORBIDDEN")
    assert get(http, "/mine", None) == (401, "NO_TOKEN")
    assert get(http, "/mine", "x y") == (403, "INVALID_TOKEN")
    assert get(http, "/mine", "unknown") == (401, "TOKEN_EXPIRED")


def test_a_refresh_token_or_one_for_another_api_or_a_jwt_is_no_access_token(
    provider: OidcProvider, spa: RawClient, http: TestClient, clock: Clock
) -> None:
    tokens = signed_in(spa)
    assert get(http, "/mine", tokens["refresh_token"]) == (403, "INVALID_TOKEN")
    assert get(http, "/mine", tokens["id_token"]) == (403, "INVALID_TOKEN")
    with pytest.raises(TokenInvalid):
        verifier_of(provider, clock, audience="https://x.example").verify_sync(
            tokens["access_token"]
        )
    unchecked = verifier_of(provider, clock, audience=None)
    assert unchecked.verify_sync(tokens["access_token"]).user_id == "ada"
    with pytest.raises(TokenInvalid):
        unchecked.verify_sync(tokens["refresh_token"])


def test_a_revoked_token_is_refused_when_the_answer_is_old(
    spa: RawClient, http: TestClient, clock: Clock
) -> None:
    token = signed_in(spa)["access_token"]
    assert get(http, "/mine", token)[0] == 200
    spa.revoke(token)
    assert get(http, "/mine", token)[0] == 200
    clock.offset += 60
    assert get(http, "/mine", token) == (401, "TOKEN_EXPIRED")


def test_an_expired_token_is_refreshed(
    provider: OidcProvider, spa: RawClient, http: TestClient
) -> None:
    provider.change(access_ttl=2)
    tokens = signed_in(spa)
    assert get(http, "/mine", tokens["access_token"])[0] == 200
    ends_at = time.monotonic() + 30
    while (answer := get(http, "/mine", tokens["access_token"]))[0] == 200:
        assert time.monotonic() < ends_at
    assert answer == (401, "TOKEN_EXPIRED")
    refreshed = spa.refresh(tokens["refresh_token"]).json()["access_token"]
    assert get(http, "/mine", refreshed) == (200, {"user": "ada"})


def test_an_outage_of_the_provider_signs_nobody_out(
    provider: OidcProvider, spa: RawClient, http: TestClient, clock: Clock
) -> None:
    known, new = (signed_in(spa)["access_token"] for _ in range(2))
    assert get(http, "/mine", known)[0] == 200
    provider.fail(introspection=500)
    response = http.get("/mine", headers={"Authorization": f"Bearer {new}"})
    assert (response.status_code, response.json()["code"]) == (503, "UNAVAILABLE")
    assert response.headers["Retry-After"] == "1"
    assert get(http, "/mine", known)[0] == 200
    clock.offset += 60
    assert get(http, "/mine", known) == (503, "UNAVAILABLE")
    provider.fail()
    assert get(http, "/mine", known)[0] == 200
    assert get(http, "/mine", new)[0] == 200


def test_credentials_that_the_provider_refuses_are_an_outage(
    provider: OidcProvider, spa: RawClient, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    token = signed_in(spa)["access_token"]
    checks = verifier_of(provider, clock, client_secret="outdated")
    with pytest.raises(Unavailable):
        checks.verify_sync(token)
    assert introspections(provider) == [401]
    assert "does not accept our client_id and client_secret" in caplog.text
    assert "outdated" not in caplog.text
    assert token not in caplog.text


def test_threads_verify_too(verifier: IntrospectionVerifier, spa: RawClient) -> None:
    """As Flask and Django do."""
    claims = verifier.authenticate_sync(f"Bearer {signed_in(spa)['access_token']}")
    assert claims.user_id == "ada"
    assert claims.scopes == {"notes"}
    with pytest.raises(TokenExpired):
        verifier.authenticate_sync("Bearer unknown")


def test_a_bound_token_needs_its_proof(
    provider: OidcProvider, verifier: IntrospectionVerifier
) -> None:
    key = ProofMaker()
    token = bound_token(provider, key)
    url = "https://notes.example/mine"
    proof = key.proof("GET", url, access_token=token)
    assert verifier.authenticate_sync(f"DPoP {token}", Call("GET", url, proof)).jkt == key.jkt
    for header, call in (
        (f"Bearer {token}", None),
        (f"DPoP {token}", Call("GET", url)),
        (f"DPoP {token}", Call("GET", url, proof)),
    ):
        with pytest.raises(InvalidProof):
            verifier.authenticate_sync(header, call)


def bound_token(provider: OidcProvider, key: ProofMaker) -> str:
    client = RawClient(provider.metadata, "spa-dpop", CALLBACK, scope="openid notes")
    callback = sign_in(client.authorization_url(resource=AUDIENCE))
    token: str = client.redeem_bound(callback, key.proof)[1].json()["access_token"]
    return token


# -- A provider of another make --------------------------------------------------------------------


def test_django_oauth_toolkit_says_less_and_is_understood() -> None:
    with DjangoProvider(ORIGIN, [CALLBACK]) as provider:
        metadata = {**provider.metadata, **provider.unlisted}
        spa = RawClient(metadata, "spa", CALLBACK, scope="openid")
        tokens = spa.redeem(sign_in_at_django(spa.authorization_url())).json()
        given: dict[str, Any] = {
            "url": metadata["introspection_endpoint"],
            "client_id": "server",
            "client_secret": SERVER_SECRET,
            "audience": None,
            "user_claim": "username",
        }
        verifier = IntrospectionVerifier(**given, needs_token_type=False)
        claims = verifier.authenticate_sync(f"Bearer {tokens['access_token']}")
        assert (claims.user_id, claims.claims["client_id"]) == ("ada", "spa")
        for unknown in (tokens["refresh_token"], "unknown"):
            with pytest.raises(TokenExpired):
                verifier.verify_sync(unknown)
        with pytest.raises(TokenInvalid):
            IntrospectionVerifier(**given).verify_sync(tokens["access_token"])


# -- WebSockets ------------------------------------------------------------------------------------


def test_a_websocket_is_closed_soon_after_its_token_is_revoked(
    spa: RawClient,
    verifier: IntrospectionVerifier,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "CHECK_SECONDS", 0.01)
    auth = Auth(verifier=verifier)

    async def echo(websocket: WebSocket) -> None:
        async with auth.socket(websocket, "notes") as socket:
            async for text in socket.iter_text():
                await socket.send_text(f"{socket.user.id}: {text}")

    app = Starlette(routes=[WebSocketRoute("/echo", echo)])
    auth.install(app)
    token = signed_in(spa)["access_token"]
    with TestClient(app) as client, client.websocket_connect("/echo") as websocket:
        websocket.send_json({"token": token})
        assert websocket.receive_json()["type"] == "ready"
        websocket.send_text("hello")
        assert websocket.receive_text() == "ada: hello"
        spa.revoke(token)
        clock.offset += 60
        assert websocket.receive_json()["code"] == "TOKEN_EXPIRED"
        with pytest.raises(WebSocketDisconnect) as closed:
            websocket.receive_json()
        assert closed.value.code == 4401
