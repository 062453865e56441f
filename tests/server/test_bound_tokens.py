"""Access tokens that are bound to a key: no place accepts one without a proof for this request.

Each refusal is tried at each place that accepts an access token, and each place accepts a good
proof, so that nothing is refused for another reason than the test says.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from starlette import authentication
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.app import create_app
from tests.server.harness import HASHER, PASSWORD, Headers, RawResponse, StartServer, call
from tests.support.clock import FakeClock
from tests.support.proof_maker import ProofMaker
from unexpired_server import (
    Auth,
    BearerBackend,
    Call,
    InvalidProof,
    JWKSVerifier,
    Service,
    Settings,
    TokenInvalid,
    Unavailable,
    User,
    failure_response,
    on_bearer_error,
    requires,
)
from unexpired_server.tokens import replays
from unexpired_server.tokens.timed_proofs import TimedProofs

HOST = "127.0.0.1"
SESSION = "5" * 32
REFUSED = (401, "INVALID_PROOF")

MakeSettings = Callable[..., Settings]


@dataclass
class Place:
    """A route that accepts access tokens.

    Attributes:
        app: The application with it.
        issuer: What issues the tokens.
        method: The route's.
        path: The route's.
        has_nonces: Whether proofs there need a nonce of the server.
    """

    app: Starlette
    issuer: Service
    method: str = "GET"
    path: str = "/mine"
    has_nonces: bool = True

    async def ask(self, headers: Headers) -> RawResponse:
        sent = [(b"host", HOST.encode()), *headers]
        return await call(self.app, self.method, self.path, sent, [b""])


@dataclass
class Caller:
    """A client at a place, with all that a call needs, and all that may be wrong with it."""

    place: Place
    key: ProofMaker
    user_id: str
    nonce: str | None = None
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = self.issued()

    def issued(self, key: ProofMaker | None = None, *, is_bound: bool = True) -> str:
        jkt = (key or self.key).jkt if is_bound else None
        issue = self.place.issuer.access_tokens.issue
        return issue(self.user_id, SESSION, 900, jkt=jkt).token

    def proof(self, key: ProofMaker | None = None, **changes: Any) -> str:
        given: dict[str, Any] = {
            "method": self.place.method,
            "url": f"http://{HOST}{self.place.path}",
            "access_token": self.token,
            "nonce": self.nonce,
        }
        return (key or self.key).proof(**{**given, **changes})

    def headers(self, *proofs: str, scheme: str = "DPoP", token: str | None = None) -> Headers:
        authorization = f"{scheme} {token or self.token}".encode()
        return [(b"authorization", authorization), *((b"dpop", one.encode()) for one in proofs)]

    async def code(self, headers: Headers) -> tuple[int, str]:
        response = await self.place.ask(headers)
        return response.status, response.json.get("code", "") if response.status >= 400 else ""

    async def learn_nonce(self) -> None:
        if self.place.has_nonces:
            response = await self.place.ask(self.headers(self.proof(nonce=None)))
            assert (response.status, response.json["code"]) == (401, "USE_DPOP_NONCE")
            self.nonce = response.headers["dpop-nonce"]


# -- The places ------------------------------------------------------------------------------------

Build = Callable[[Settings, FakeClock], Place]


def in_starlette(settings: Settings, clock: FakeClock) -> Place:
    auth = Auth(settings, now=clock, hasher=HASHER)

    @requires()
    async def mine(request: Request) -> Response:
        return JSONResponse({"id": request.user.id})

    @requires("orders:write")
    async def never(request: Request) -> Response:  # noqa: ARG001 - by it the user is found
        raise AssertionError

    routes = [Route("/mine", mine), Route("/never", never)]
    app = Starlette(routes=routes, lifespan=auth.lifespan)
    auth.install(app)
    return Place(app, auth.service)


def in_fastapi(settings: Settings, clock: FakeClock) -> Place:
    auth = Auth(settings, now=clock, hasher=HASHER)
    return Place(fastapi_app(auth), auth.service)


def optional_in_fastapi(settings: Settings, clock: FakeClock) -> Place:
    auth = Auth(settings, now=clock, hasher=HASHER)
    return Place(fastapi_app(auth), auth.service, path="/greeting")


def fastapi_app(auth: Auth) -> FastAPI:
    app = FastAPI(lifespan=auth.lifespan)
    auth.install(app)

    @app.get("/mine")
    async def mine(user: Annotated[User, Depends(auth.requires())]) -> dict[str, str]:
        return {"id": user.id}

    @app.get("/never", dependencies=[Depends(auth.requires("orders:write"))])
    async def never() -> None:
        raise AssertionError

    @app.get("/greeting")
    async def greeting(user: Annotated[User | None, Depends(auth.optional)]) -> dict[str, str]:
        return {"id": user.id if user else "guest"}

    return app


def with_middleware(settings: Settings, clock: FakeClock) -> Place:
    service = Service(settings, now=clock, hasher=HASHER)

    @authentication.requires("authenticated")
    async def mine(request: Request) -> Response:
        return JSONResponse({"id": request.user.identity})

    backend = BearerBackend(service.bearer)
    middleware = Middleware(AuthenticationMiddleware, backend=backend, on_error=on_bearer_error)
    app = Starlette(
        routes=[Route("/mine", mine)],
        middleware=[middleware],
        lifespan=lambda _app: service.running(),
    )
    return Place(app, service)


def our_own(path: str, method: str = "GET") -> Build:
    def build(settings: Settings, clock: FakeClock) -> Place:
        app = create_app(settings, now=clock, hasher=HASHER)
        return Place(app, app.state.service, method, path)

    return build


def in_another_service(
    settings: Settings, clock: FakeClock, public_url: str | None = None
) -> Place:
    """An API that knows only the issuer's public keys."""
    issuer = create_app(settings, now=clock, hasher=HASHER)

    async def fetch(_address: str) -> bytes:
        return (await call(issuer, "GET", "/.well-known/jwks.json", [], [b""])).body

    verifier = JWKSVerifier("https://issuer.example/.well-known/jwks.json", now=clock, fetch=fetch)
    app = fastapi_app(Auth(verifier=verifier, public_url=public_url))
    return Place(app, issuer.state.service, has_nonces=False)


PLACES: dict[str, Build] = {
    "starlette": in_starlette,
    "fastapi": in_fastapi,
    "fastapi optional": optional_in_fastapi,
    "starlette's middleware": with_middleware,
    "me": our_own("/api/me"),
    "sessions": our_own("/api/sessions"),
    "notes": our_own("/api/notes"),
    "another service": in_another_service,
}


@pytest.fixture(params=PLACES)
async def caller(
    request: pytest.FixtureRequest, make_settings: MakeSettings, clock: FakeClock
) -> AsyncIterator[Caller]:
    place = PLACES[request.param](make_settings(dpop="all", algorithm="EdDSA"), clock)
    async with calling(place, clock) as caller:
        yield caller


@asynccontextmanager
async def calling(place: Place, clock: FakeClock) -> AsyncIterator[Caller]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(place.app.router.lifespan_context(place.app))
        if not place.has_nonces:
            await stack.enter_async_context(place.issuer.running())
        ada = await place.issuer.users.find("ada")
        assert ada
        caller = Caller(place, ProofMaker(clock), ada.id)
        await caller.learn_nonce()
        yield caller


# -- What is accepted ------------------------------------------------------------------------------


async def test_a_call_with_a_proof_for_it_is_accepted(caller: Caller) -> None:
    assert await caller.code(caller.headers(caller.proof())) == (200, "")
    assert await caller.code(caller.headers(caller.proof(), scheme="dpop")) == (200, "")


async def test_an_unbound_token_stays_a_bearer_token(caller: Caller) -> None:
    token = caller.issued(is_bound=False)
    assert await caller.code(caller.headers(scheme="Bearer", token=token)) == (200, "")
    proof = caller.proof(access_token=token)
    assert await caller.code(caller.headers(proof, scheme="Bearer", token=token)) == (200, "")


# -- What is refused -------------------------------------------------------------------------------


def for_unbound(caller: Caller) -> Headers:
    token = caller.issued(is_bound=False)
    return caller.headers(caller.proof(access_token=token), token=token)


def with_other_key(caller: Caller) -> Headers:
    """Everything as it must be, by the key of a thief."""
    return caller.headers(caller.proof(ProofMaker(caller.key.now)))


REFUSALS: dict[str, Callable[[Caller], Headers]] = {
    "as a bearer token": lambda c: c.headers(scheme="Bearer"),
    "as a bearer token, with a good proof": lambda c: c.headers(c.proof(), scheme="Bearer"),
    "no proof": lambda c: c.headers(),
    "an empty proof": lambda c: c.headers(""),
    "two proofs": lambda c: c.headers(c.proof(), c.proof()),
    "two proofs in one header": lambda c: c.headers(f"{c.proof()}, {c.proof()}"),
    "the token as its proof": lambda c: c.headers(c.token),
    "no ath": lambda c: c.headers(c.proof(access_token=None)),
    "ath of something else": lambda c: c.headers(c.proof(access_token="x")),
    "for another token of this key": lambda c: c.headers(c.proof(access_token=c.issued())),
    "for another method": lambda c: c.headers(c.proof(method="PUT")),
    "for the method in lower case": lambda c: c.headers(c.proof(method="get")),
    "for another path": lambda c: c.headers(c.proof(url=f"http://{HOST}/other")),
    "for another host": lambda c: c.headers(c.proof(url=f"http://other.example{c.place.path}")),
    "for another port": lambda c: c.headers(c.proof(url=f"http://{HOST}:81{c.place.path}")),
    "by another key": with_other_key,
    "the token of another key": lambda c: c.headers(
        c.proof(access_token=(stolen := c.issued(ProofMaker(c.key.now)))), token=stolen
    ),
    "an unbound token as one that is bound": for_unbound,
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_call_without_a_proof_for_it_is_refused(caller: Caller, refusal: str) -> None:
    response = await caller.place.ask(REFUSALS[refusal](caller))
    assert (response.status, response.json["code"]) == REFUSED
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith('DPoP realm="unexpired", algs="ES256", error="invalid_dpop_proof"')
    assert response.headers["cache-control"] == "no-store"


async def test_a_proof_is_good_for_one_call(caller: Caller) -> None:
    headers = caller.headers(caller.proof())
    assert await caller.code(headers) == (200, "")
    assert await caller.code(headers) == REFUSED
    assert await caller.code(caller.headers(caller.proof())) == (200, "")


async def test_a_refused_token_is_answered_with_its_own_code_and_the_scheme_of_the_call(
    caller: Caller, clock: FakeClock
) -> None:
    tampered = caller.token[:-2] + ("AA" if caller.token[-2:] != "AA" else "BA")
    response = await caller.place.ask(caller.headers(caller.proof(), token=tampered))
    assert (response.status, response.json["code"]) == (403, "INVALID_TOKEN")
    assert response.headers["www-authenticate"].startswith(
        'DPoP realm="unexpired", algs="ES256", error="invalid_token"'
    )
    clock.advance(960)
    response = await caller.place.ask(caller.headers(caller.proof()))
    assert (response.status, response.json["code"]) == (401, "TOKEN_EXPIRED")
    assert response.headers["www-authenticate"].startswith("DPoP ")


@pytest.mark.parametrize("build", [in_starlette, in_fastapi, in_another_service])
async def test_a_missing_scope_is_named_in_the_scheme_of_the_call(
    build: Build, make_settings: MakeSettings, clock: FakeClock
) -> None:
    place = build(make_settings(dpop="all", algorithm="EdDSA"), clock)
    place.path = "/never"
    bound = 'DPoP realm="unexpired", algs="ES256", error="insufficient_scope"'
    plain = 'Bearer realm="unexpired", error="insufficient_scope"'
    async with calling(place, clock) as caller:
        token = caller.issued(is_bound=False)
        for headers, challenge in (
            (caller.headers(caller.proof()), bound),
            (caller.headers(scheme="Bearer", token=token), plain),
        ):
            response = await place.ask(headers)
            assert (response.status, response.json["code"]) == (403, "FORBIDDEN")
            assert response.headers["www-authenticate"].startswith(challenge)
            assert response.headers["www-authenticate"].endswith('scope="orders:write"')


async def test_two_authorization_headers_are_refused_even_with_a_proof(caller: Caller) -> None:
    good = caller.headers(caller.proof())
    for other in (b"Bearer x", good[0][1]):
        headers = [*good, (b"authorization", other)]
        assert await caller.code(headers) == (403, "INVALID_TOKEN")
        assert await caller.code(headers[::-1]) == (403, "INVALID_TOKEN")


async def test_a_proof_without_a_current_nonce_receives_one(
    caller: Caller, clock: FakeClock
) -> None:
    if not caller.place.has_nonces:
        return
    for nonce in (None, "x", f"{caller.nonce}x"):
        headers = caller.headers(caller.proof(nonce=nonce))
        response = await caller.place.ask(headers)
        assert (response.status, response.json["code"]) == (401, "USE_DPOP_NONCE")
        assert response.headers["dpop-nonce"] == response.json["nonce"] == caller.nonce
        assert 'error="use_dpop_nonce"' in response.headers["www-authenticate"]
    clock.advance(3600)
    caller.token = caller.issued()
    assert await caller.code(caller.headers(caller.proof())) == (401, "USE_DPOP_NONCE")
    await caller.learn_nonce()
    assert await caller.code(caller.headers(caller.proof())) == (200, "")


async def test_another_service_accepts_proofs_that_were_made_within_the_leeway(
    caller: Caller, clock: FakeClock
) -> None:
    if caller.place.has_nonces:
        return
    for seconds, expected in ((60, (200, "")), (-60, (200, "")), (62, REFUSED), (-62, REFUSED)):
        proof = caller.proof(iat=int(clock()) + seconds)
        assert await caller.code(caller.headers(proof)) == expected


@pytest.mark.parametrize(("public_url", "path"), [
    ("https://api.example", "/mine"), ("https://api.example/v1/", "/v1/mine"),
])  # fmt: skip
async def test_another_service_behind_a_proxy_is_given_the_url_that_clients_use(
    make_settings: MakeSettings, clock: FakeClock, public_url: str, path: str
) -> None:
    """The proxy sends another Host, and may have taken a prefix away."""
    place = in_another_service(make_settings(dpop="all", algorithm="EdDSA"), clock, public_url)
    async with calling(place, clock) as caller:
        good = caller.headers(caller.proof(url=f"https://api.example{path}"))
        assert await caller.code(good) == (200, "")
        assert await caller.code(caller.headers(caller.proof())) == REFUSED


def test_the_url_that_clients_use_is_checked(make_settings: MakeSettings) -> None:
    verifier = JWKSVerifier("https://issuer.example/keys")
    for url in ("", "api.example", "https://api.example/?a=b"):
        with pytest.raises(ValueError, match="must be the URL that clients use"):
            Auth(verifier=verifier, public_url=url)
    with pytest.raises(TypeError, match="public_url goes with verifier"):
        Auth(make_settings(), public_url="https://api.example")


# -- In OpenAPI ------------------------------------------------------------------------------------


async def test_the_openapi_document_says_what_calls_with_a_bound_token_bring(
    start: StartServer,
) -> None:
    documents = {}
    for dpop in ("refresh", "all"):
        node = await start(dpop=dpop, signup=True)
        documents[dpop] = (await node.http.get("/openapi.json")).json()
    schemes = documents["all"]["components"]["securitySchemes"]
    assert schemes["dpop"] == {"type": "http", "scheme": "dpop", "bearerFormat": "JWT"}
    assert schemes.keys() - documents["refresh"]["components"]["securitySchemes"] == {"dpop"}
    for path in ("/api/me", "/api/sessions", "/api/notes", "/api/password"):
        for method, one in documents["all"]["paths"][path].items():
            before = json.dumps(documents["refresh"]["paths"][path][method])
            assert one["security"] == [{"bearer": []}, {"dpop": []}]
            assert "DPoP" in [parameter["name"] for parameter in one["parameters"]]
            assert one["responses"]["401"]["headers"].keys() == {"WWW-Authenticate", "DPoP-Nonce"}
            for code in ("INVALID_PROOF", "USE_DPOP_NONCE"):
                assert code in json.dumps(one["responses"]["401"])
                assert code not in before
    for path in ("/api/login", "/api/refresh", "/api/logout", "/healthz"):
        assert documents["all"]["paths"][path] == documents["refresh"]["paths"][path]


def test_fastapis_document_shows_both_schemes_for_our_routes(make_settings: MakeSettings) -> None:
    for dpop, names in (("refresh", ["accessToken"]), ("all", ["accessToken", "provenToken"])):
        document = fastapi_app(Auth(make_settings(dpop=dpop), hasher=HASHER)).openapi()
        me = document["paths"]["/api/me"]["get"]
        assert [name for one in me["security"] for name in one] == names
        assert ("INVALID_PROOF" in json.dumps(me["responses"])) == (dpop == "all")
        schemes = document["components"]["securitySchemes"]
        assert schemes.keys() == set(names)
        assert [one["scheme"] for one in schemes.values()] == ["bearer", "dpop"][: len(names)]


# -- All of our own routes -------------------------------------------------------------------------


async def test_each_route_that_needs_a_token_refuses_a_bound_one_without_a_proof(
    start: StartServer,
) -> None:
    node = await start(dpop="all", signup=True)
    key = ProofMaker(node.clock)
    token = node.app.state.service.access_tokens.issue("0" * 32, SESSION, 900, jkt=key.jkt).token
    paths = (await node.http.get("/openapi.json")).json()["paths"]
    calls = [
        (method, path.replace("{id}", "1"))
        for path, methods in paths.items()
        for method, operation in methods.items()
        if operation.get("security")
    ]
    assert len(calls) >= 8
    for method, path in calls:
        for scheme in ("Bearer", "DPoP"):
            headers = {"Authorization": f"{scheme} {token}"}
            response = await node.http.request(method, path, headers=headers)
            assert (response.status_code, response.json()["code"]) == REFUSED, path


async def test_a_request_without_a_token_learns_of_both_schemes_where_sessions_are_bound(
    start: StartServer,
) -> None:
    both = 'Bearer realm="unexpired", DPoP realm="unexpired", algs="ES256"'
    for dpop, challenge in (("all", both), ("refresh", 'Bearer realm="unexpired"')):
        node = await start(dpop=dpop)
        for headers in ({}, {"DPoP": "x"}, {"Authorization": "DPoP "}):
            response = await node.http.get("/api/me", headers=headers)
            assert (response.status_code, response.json()["code"]) == (401, "NO_TOKEN")
            assert response.headers["www-authenticate"] == challenge


async def test_signing_out_by_a_bound_token_needs_its_proof_and_never_fails_in_silence(
    make_settings: MakeSettings, clock: FakeClock
) -> None:
    place = our_own("/api/me")(make_settings(dpop="all"), clock)
    async with place.app.router.lifespan_context(place.app):
        ada = await place.issuer.users.find("ada")
        assert ada
        caller = Caller(place, ProofMaker(clock), ada.id)
        await caller.learn_nonce()

        async def sign_out(headers: Headers) -> tuple[int, str]:
            kind = (b"content-type", b"application/json")
            path = "/api/logout"
            response = await call(
                place.app, "POST", path, [(b"host", HOST.encode()), kind, *headers], [b"{}"]
            )
            return response.status, response.json["code"] if response.body else ""

        def proof(**changes: Any) -> str:
            return caller.proof(method="POST", url=f"http://{HOST}/api/logout", **changes)

        for headers in (caller.headers(scheme="Bearer"), caller.headers(caller.proof())):
            assert await sign_out(headers) == (204, "")
            assert await caller.code(caller.headers(caller.proof())) == (200, "")
        stale = caller.headers(proof(nonce=None))
        assert await sign_out(stale) == (401, "USE_DPOP_NONCE")
        assert await sign_out(caller.headers(proof())) == (204, "")
        answer = await caller.code(caller.headers(caller.proof()))
        assert answer == (401, "SESSION_REVOKED")


# -- When the setting changes ----------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [("refresh", "all"), ("all", "refresh")])
async def test_a_token_stays_what_it_was_issued_as_when_the_setting_changes(
    start: StartServer, before: str, after: str
) -> None:
    old, new = await start(dpop=before), await start(dpop=after)
    key = ProofMaker(old.clock)
    url = f"http://{HOST}/api/"
    body = {"username": "ada", "password": PASSWORD}
    proof = {"DPoP": key.proof("POST", f"{url}login")}
    tokens = (await old.http.post("/api/login", json=body, headers=proof)).json()
    nonce, token = tokens["nonce"], tokens["accessToken"]

    async def status(token: str, *, is_bound: bool) -> int:
        made = key.proof("GET", f"{url}me", nonce=nonce, access_token=token)
        bound = {"Authorization": f"DPoP {token}", "DPoP": made}
        headers = bound if is_bound else {"Authorization": f"Bearer {token}"}
        return (await new.http.get("/api/me", headers=headers)).status_code

    was_bound = before == "all"
    assert tokens["tokenType"] == ("DPoP" if was_bound else "Bearer")
    assert await status(token, is_bound=was_bound) == 200
    assert await status(token, is_bound=not was_bound) == 401
    proof = {"DPoP": key.proof("POST", f"{url}refresh", nonce=nonce)}
    body = {"refreshToken": tokens["refreshToken"]}
    renewed = (await new.http.post("/api/refresh", json=body, headers=proof)).json()
    assert await status(renewed["accessToken"], is_bound=not was_bound) == 200
    assert await status(renewed["accessToken"], is_bound=was_bound) == 401


# -- Without our frameworks ------------------------------------------------------------------------


async def test_in_any_framework_a_verifier_takes_the_call_with_its_proof(
    make_settings: MakeSettings, clock: FakeClock
) -> None:
    place = in_another_service(make_settings(dpop="all", algorithm="EdDSA"), clock)
    caller = Caller(place, ProofMaker(clock), "0" * 32)

    async def fetch(_address: str) -> bytes:
        return json.dumps({"keys": place.issuer.ring.public()}).encode()

    verifier = JWKSVerifier("https://issuer.example/keys", now=clock, fetch=fetch)
    header, url = f"DPoP {caller.token}", f"https://{HOST}/mine?page=2"
    assert (await verifier.authenticate(header, Call("GET", url, caller.proof()))).jkt
    assert verifier.authenticate_sync(header, Call("GET", url, caller.proof())).jkt
    assert (await verifier.verify(caller.token, Call("GET", url, caller.proof()))).jkt
    assert verifier.verify_sync(caller.token, Call("GET", url, caller.proof())).jkt
    used = caller.proof()
    verifier.authenticate_sync(header, Call("GET", url, used))
    for call_ in (None, Call("GET", url), Call("PUT", url, caller.proof()), Call("GET", url, used)):
        with pytest.raises(InvalidProof):
            verifier.authenticate_sync(header, call_)
        with pytest.raises(InvalidProof):
            await verifier.verify(caller.token, call_)
    for header in (f"Bearer {caller.token}", f"DPoP {caller.issued(is_bound=False)}"):
        with pytest.raises(InvalidProof):
            await verifier.authenticate(header, Call("GET", url, caller.proof()))
    for scheme in ("DPoP", "Bearer"):
        bad = f"{scheme} {caller.token}x"
        with pytest.raises(TokenInvalid) as refused:
            await verifier.authenticate(bad)
        with pytest.raises(TokenInvalid) as refused_sync:
            verifier.authenticate_sync(bad)
        for one in (refused, refused_sync):  # What Flask and Django answer with.
            headers = failure_response(one.value).headers
            assert headers["WWW-Authenticate"].startswith(f'{scheme} realm="unexpired"')
    assert caller.token not in repr(Call("GET", url, caller.token))


def test_a_verifier_that_cannot_remember_more_proofs_asks_to_try_later(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would have to forget one that can be presented again; the next second is another one."""
    monkeypatch.setattr(replays, "CAPACITY", 2)
    proofs, key, url = TimedProofs(10, clock), ProofMaker(clock), "https://api.example/"

    def used(text: str) -> None:
        proofs.check(Call("GET", url, text), "a.b.c", key.jkt)

    texts = [key.proof("GET", url, access_token="a.b.c") for _ in range(5)]
    for text in texts[:4]:
        used(text)
    for text in (texts[4], texts[0], texts[3]):
        with pytest.raises(Unavailable):
            used(text)
    clock.advance(1)
    used(key.proof("GET", url, access_token="a.b.c"))
    for text in texts:
        with pytest.raises((InvalidProof, Unavailable)):
            used(text)


@pytest.mark.parametrize(("leeway", "life"), [(0, 5), (1, 5), (5, 5), (5.5, 5.5), (60, 60)])
@pytest.mark.parametrize("share", [0, 0.3, 0.8, 1.3])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_proof_has_time_to_arrive_and_says_its_own_in_whole_seconds(
    clock: FakeClock, leeway: float, life: float, share: float, sign: int
) -> None:
    proofs, url = TimedProofs(leeway, clock), "https://a.example/"
    key = ProofMaker(lambda: clock() + sign * share * life)
    call = Call("GET", url, key.proof("GET", url, access_token="a.b.c"))
    if share < 1:
        proofs.check(call, "a.b.c", key.jkt)
    else:
        with pytest.raises(InvalidProof):
            proofs.check(call, "a.b.c", key.jkt)


@pytest.mark.parametrize(("leeway", "life"), [(0, 5), (10, 10)])
def test_a_timed_proof_is_remembered_for_as_long_as_it_is_good(
    clock: FakeClock, leeway: int, life: int
) -> None:
    """From a clock that is ahead by all that is accepted, at whatever age of the memory."""
    proofs, key, url = (
        TimedProofs(leeway, clock),
        ProofMaker(lambda: clock() + life),
        "https://a.example/",
    )
    for _ in range(30):
        text = key.proof("GET", url, access_token="a.b.c")
        proofs.check(Call("GET", url, text), "a.b.c", key.jkt)
        for seconds in (0, life - 1, life + 1):
            clock.advance(seconds)
            with pytest.raises(InvalidProof):
                proofs.check(Call("GET", url, text), "a.b.c", key.jkt)
