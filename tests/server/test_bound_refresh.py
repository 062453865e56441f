"""Bound sessions over HTTP: sign-in, refresh, and a thief who has everything but the key."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.server.harness import PASSWORD, StartServer, TestServer, bearer
from tests.server.stores import rows
from tests.server.test_addresses import at
from tests.support.proof_maker import ProofMaker
from unexpired_server.errors import InvalidProof
from unexpired_server.http.routes.authentication import tokens_response

pytestmark = pytest.mark.usefixtures("limits_clock")

STORES = ("sqlite", "postgres")
HOME, ELSEWHERE = "192.0.2.7", "203.0.113.9"
ORIGIN = "http://127.0.0.1"
LOGIN, REFRESH = f"{ORIGIN}/api/login", f"{ORIGIN}/api/refresh"
ATTEMPT, OTHER_ATTEMPT = "a" * 22, "b" * 22


@dataclass
class Device:
    """A client with a key; it keeps the tokens and the nonce that it was given last."""

    node: TestServer
    address: str = HOME
    maker: ProofMaker = field(init=False)
    tokens: dict[str, Any] = field(default_factory=dict)
    nonce: str | None = None

    def __post_init__(self) -> None:
        self.maker = ProofMaker(self.node.clock)

    async def post(self, url: str, body: object, *proofs: str) -> httpx.Response:
        """Send proofs, or as many as there are."""
        headers = [("DPoP", proof) for proof in proofs]
        response = await at(self.node, self.address).http.post(url, json=body, headers=headers)
        self.nonce = response.headers.get("DPoP-Nonce", self.nonce)
        return response

    async def sign_in(self) -> dict[str, Any]:
        proof = self.maker.proof("POST", LOGIN)
        response = await self.post(LOGIN, {"username": "ada", "password": PASSWORD}, proof)
        assert response.status_code == 200, response.text
        self.tokens = response.json()
        return self.tokens

    async def refresh(self, token: str | None = None, attempt: str | None = None) -> httpx.Response:
        """Refresh with a proof, and make it again where the server wants its nonce."""
        body = {"refreshToken": token or self.tokens["refreshToken"]}
        body |= {} if attempt is None else {"attempt": attempt}
        response = await self._prove(body)
        if code(response) == (401, "USE_DPOP_NONCE"):
            response = await self._prove(body)
        if response.status_code == 200 and token is None:
            self.tokens = response.json()
        return response

    async def _prove(self, body: object) -> httpx.Response:
        proof = self.maker.proof("POST", REFRESH, nonce=self.nonce)
        return await self.post(REFRESH, body, proof)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "OK")


async def events(store: str) -> list[tuple[Any, ...]]:
    query = "SELECT kind, address, cause FROM events WHERE kind LIKE 'refresh%' ORDER BY id"
    return await rows(store, query)


# -- Sign-in ---------------------------------------------------------------------------------------


async def test_a_sign_in_with_a_proof_binds_its_session_and_says_so(
    node: TestServer, store: str
) -> None:
    device = Device(node)
    tokens = await device.sign_in()
    assert tokens["bound"] is True
    assert tokens["nonce"] == device.nonce
    assert tokens["tokenType"] == "Bearer"
    assert await rows(store, "SELECT jkt FROM sessions") == [(device.maker.jkt,)]
    renewed = await device.refresh()
    assert renewed.json()["bound"] is True
    assert renewed.json()["nonce"] == renewed.headers["DPoP-Nonce"]
    assert (await node.me(renewed.json()["accessToken"])).status_code == 200


async def test_where_calls_need_proofs_the_type_of_the_token_says_so(start: StartServer) -> None:
    """A client learns by it how to send the token (RFC 9449, section 5)."""
    device = Device(await start(dpop="all"))
    assert (await device.sign_in())["tokenType"] == "DPoP"
    assert (await device.refresh()).json()["tokenType"] == "DPoP"
    assert (await device.node.sign_in())["tokenType"] == "Bearer"


async def test_without_a_proof_all_is_as_before(node: TestServer, store: str) -> None:
    tokens = await node.sign_in()
    members = ["accessToken", "tokenType", "expiresIn", "refreshToken", "refreshExpiresIn"]
    assert list(tokens) == [*members, "user"]
    response = await node.refresh(tokens["refreshToken"])
    assert list(response.json()) == members
    assert "DPoP-Nonce" not in response.headers
    assert await rows(store, "SELECT jkt FROM sessions") == [(None,)]


async def test_a_later_proof_binds_nothing(node: TestServer, store: str) -> None:
    """The first proof of an unbound session could be a thief's."""
    device = Device(node)
    device.tokens = await node.sign_in()
    response = await device.refresh()
    assert response.status_code == 200
    assert "bound" not in response.json()
    assert (await node.refresh(response.json()["refreshToken"])).status_code == 200
    assert await rows(store, "SELECT jkt FROM sessions") == [(None,)]


async def test_a_bad_proof_is_refused_before_the_password_is_looked_at(
    start: StartServer, store: str
) -> None:
    node = await start(login_limit="1 per minute")
    device = Device(node)
    other = device.maker.proof("POST", REFRESH)
    for _ in range(3):
        response = await device.post(LOGIN, {"username": "ada", "password": "wrong"}, other)
        assert code(response) == (401, "INVALID_PROOF")
    assert await rows(store, "SELECT count(*) FROM events") == [(0,)]
    assert await device.sign_in()


async def test_a_wrong_clock_costs_one_more_request_and_no_attempt(start: StartServer) -> None:
    node = await start(login_limit="1 per minute")
    device = Device(node)
    device.maker.now = lambda: node.clock() - 86_400
    body = {"username": "ada", "password": PASSWORD}
    response = await device.post(LOGIN, body, device.maker.proof("POST", LOGIN))
    assert code(response) == (401, "USE_DPOP_NONCE")
    assert response.json()["nonce"] == device.nonce
    again = device.maker.proof("POST", LOGIN, nonce=device.nonce)
    device.tokens = (await device.post(LOGIN, body, again)).json()
    assert device.tokens["bound"] is True
    assert (await device.refresh()).status_code == 200


async def test_where_proofs_are_required_nobody_signs_in_without(start: StartServer) -> None:
    node = await start(dpop_required=True, signup=True)
    assert code(await node.login()) == (401, "INVALID_PROOF")
    new = {"username": "eve", "password": "correct horse battery"}
    assert code(await node.http.post("/api/signup", json=new)) == (401, "INVALID_PROOF")
    with pytest.raises(InvalidProof):
        node.app.state.service.proofs.late_sign_in_key(Request({"type": "http", "headers": []}))
    assert await Device(node).sign_in()


async def test_a_new_account_is_bound_too(start: StartServer) -> None:
    node = await start(signup=True)
    device, url = Device(node), f"{ORIGIN}/api/signup"
    new = {"username": "eve", "password": "correct horse battery"}
    response = await device.post(url, new, device.maker.proof("POST", url))
    assert (response.status_code, response.json()["bound"]) == (201, True)
    assert response.headers["DPoP-Nonce"] == response.json()["nonce"]
    device.tokens = response.json()
    assert code(await node.refresh(device.tokens["refreshToken"])) == (401, "INVALID_PROOF")
    assert (await device.refresh()).status_code == 200


async def test_a_session_that_the_application_opens_is_bound_too(node: TestServer) -> None:
    service = node.app.state.service
    ada = await service.users.find("ada")

    async def link(request: Request) -> Response:
        return tokens_response(await service.open_session(ada, request))

    node.app.router.routes.insert(0, Route("/link", link, methods=["POST"]))
    device, url = Device(node), f"{ORIGIN}/link"
    # By then the link is used up, so nobody may be asked for another proof.
    for clock in (node.clock(), node.clock() - 86_400, node.clock() + 86_400):
        proof = device.maker.proof("POST", url, iat=int(clock), nonce="unknown")
        device.tokens = (await device.post(url, {}, proof)).json()
        assert device.tokens["bound"] is True
        assert code(await node.refresh(device.tokens["refreshToken"])) == (401, "INVALID_PROOF")
        assert (await device.refresh()).status_code == 200
    good, other = device.maker.proof("POST", url), device.maker.proof("POST", LOGIN)
    for wrong in (["x.y.z"], [other], [good, good]):
        unbound = (await device.post(url, {}, *wrong)).json()
        assert "bound" not in unbound
        assert (await node.refresh(unbound["refreshToken"])).status_code == 200


# -- Refresh ---------------------------------------------------------------------------------------


async def test_a_refresh_needs_a_fresh_proof_by_the_same_key(node: TestServer, store: str) -> None:
    device, thief = Device(node), Device(node, ELSEWHERE)
    await device.sign_in()
    thief.tokens = device.tokens
    body = {"refreshToken": device.tokens["refreshToken"]}
    before = await rows(store, "SELECT * FROM sessions")
    made = device.maker.proof
    without_nonce, nonce = made("POST", REFRESH), device.nonce
    assert code(await thief.post(REFRESH, body, without_nonce)) == (401, "USE_DPOP_NONCE")
    assert code(await thief.post(REFRESH, body)) == (401, "INVALID_PROOF")
    assert code(await thief.refresh()) == (401, "REFRESH_INVALID")
    for proofs in (
        [made("GET", REFRESH, nonce=nonce)],
        [made("POST", LOGIN, nonce=nonce)],
        [made("POST", REFRESH, nonce=nonce), made("POST", REFRESH, nonce=nonce)],
        ["x.y.z"],
        [""],
    ):
        assert code(await thief.post(REFRESH, body, *proofs)) == (401, "INVALID_PROOF")
    node.clock.advance(3 * 3600)
    late = await thief.post(REFRESH, body, made("POST", REFRESH, nonce=nonce))
    assert code(late) == (401, "USE_DPOP_NONCE")
    assert await rows(store, "SELECT * FROM sessions") == before
    assert (await device.refresh()).status_code == 200
    assert await events(store) == [
        ("refresh_proof_refused", ELSEWHERE, "no_proof"),
        ("refresh_proof_refused", ELSEWHERE, "other_key"),
    ]


async def test_repeats_late_duplicates_and_reuse_need_the_proof_too(
    node: TestServer,
) -> None:
    device, thief = Device(node), Device(node, ELSEWHERE)
    first = (await device.sign_in())["refreshToken"]
    await device.refresh(attempt=ATTEMPT)
    repeated = await device.refresh(first, ATTEMPT)
    assert repeated.json()["refreshToken"] == device.tokens["refreshToken"]
    await device.refresh(attempt=OTHER_ATTEMPT)
    node.clock.advance(60)
    for attempt in (None, ATTEMPT, OTHER_ATTEMPT):
        body = {"refreshToken": first} | ({"attempt": attempt} if attempt else {})
        assert code(await thief.post(REFRESH, body)) == (401, "INVALID_PROOF")
        assert code(await thief.refresh(first, attempt)) == (401, "REFRESH_INVALID")
    assert code(await device.refresh(first, ATTEMPT)) == (409, "REFRESH_SUPERSEDED")
    assert (await device.refresh()).status_code == 200
    # With the key, reuse is what it was: somebody has a copy of both.
    assert code(await device.refresh(first)) == (401, "REFRESH_REUSED")
    assert code(await thief.refresh(first)) == (401, "SESSION_REVOKED")


async def test_a_thief_without_the_key_does_not_disturb_the_session(
    start: StartServer, store: str
) -> None:
    """500 tries, of which each could be the one that steps, ends or limits the session."""
    node = await start(refresh_limit="3 per minute", address_limit="20 per minute")
    device, thief = Device(node), Device(node, ELSEWHERE)
    used = (await device.sign_in())["refreshToken"]
    await device.refresh()
    thief.tokens, thief.nonce = device.tokens, device.nonce
    before = await rows(store, "SELECT * FROM sessions")
    stolen = [used, device.tokens["refreshToken"]]

    async def steal(number: int) -> tuple[int, str]:
        token = stolen[number % 2]
        if number % 4 < 2:
            return code(await thief.post(REFRESH, {"refreshToken": token}))
        return code(await thief.refresh(token))

    outcomes = [await steal(number) for number in range(60)]
    for start_at in range(60, 500, 20):
        outcomes += await asyncio.gather(*map(steal, range(start_at, start_at + 20)))
    assert len(outcomes) == 500
    assert set(outcomes) == {
        (401, "INVALID_PROOF"),
        (401, "REFRESH_INVALID"),
        (429, "RATE_LIMITED"),
    }
    assert await rows(store, "SELECT * FROM sessions") == before
    assert (await device.refresh()).status_code == 200
    assert (await node.me(device.tokens["accessToken"])).status_code == 200
    recorded = await events(store)
    assert {(kind, address) for kind, address, _ in recorded} == {
        ("refresh_proof_refused", ELSEWHERE)
    }
    assert {cause for *_, cause in recorded} == {"no_proof", "other_key"}
    assert len(recorded) == 20, "as many as the address may try, so that events do not pile up"


async def test_a_thief_at_the_same_address_does_not_disturb_the_session(
    start: StartServer,
) -> None:
    """Injected code runs in the victim's own browser."""
    node = await start(refresh_limit="3 per minute", address_limit="5 per minute")
    device, thief = Device(node), Device(node)
    await device.sign_in()
    for _ in range(12):
        await thief.refresh(device.tokens["refreshToken"])
    assert (await device.refresh()).status_code == 200
    assert (await node.login()).status_code == 200


async def test_a_session_that_is_refreshed_all_the_time_is_limited_when_bound_too(
    start: StartServer,
) -> None:
    device = Device(await start(refresh_limit="5 per minute"))
    await device.sign_in()
    statuses = [(await device.refresh()).status_code for _ in range(9)]
    assert statuses[:5] == [200] * 5
    assert 429 in statuses


async def test_many_refreshes_at_once_on_two_nodes_are_one_step(
    start: StartServer, store: str
) -> None:
    nodes = [await start(), await start()]
    device = Device(nodes[0])
    token = (await device.sign_in())["refreshToken"]

    async def refresh(number: int) -> httpx.Response:
        proof = device.maker.proof("POST", REFRESH, nonce=device.nonce)
        body = {"refreshToken": token, "attempt": ATTEMPT}
        one = nodes[number % 2].http
        return await one.post("/api/refresh", json=body, headers={"DPoP": proof})

    responses = await asyncio.gather(*map(refresh, range(30)))
    assert {one.status_code for one in responses} == {200}
    assert len({one.json()["refreshToken"] for one in responses}) == 1
    assert await rows(store, "SELECT counter FROM sessions") == [(1,)]


async def test_turning_proofs_off_signs_nobody_out_and_on_again_asks_for_the_same_key(
    start: StartServer, store: str
) -> None:
    node, off = await start(), await start(dpop="off")
    device, thief = Device(node), Device(node, ELSEWHERE)
    await device.sign_in()
    listed = await rows(store, "SELECT jkt FROM sessions")
    device.node = off
    response = await device.refresh()  # Its proof, with an old nonce or none, is not looked at.
    assert response.status_code == 200
    assert "bound" not in response.json()
    response = await off.refresh(device.tokens["refreshToken"])
    assert response.status_code == 200
    device.tokens, device.node = response.json(), node
    thief.tokens = device.tokens
    assert code(await node.refresh(device.tokens["refreshToken"])) == (401, "INVALID_PROOF")
    assert code(await thief.refresh()) == (401, "REFRESH_INVALID")
    response = await device.refresh()
    assert response.json()["bound"] is True
    assert await rows(store, "SELECT jkt FROM sessions") == listed
    # What is opened meanwhile is bound to nothing.
    device.node = off
    assert "bound" not in await device.sign_in()


async def test_signing_out_needs_no_proof(node: TestServer) -> None:
    device = Device(node)
    await device.sign_in()
    body = {"refreshToken": device.tokens["refreshToken"]}
    assert (await node.http.post("/api/logout", json=body)).status_code == 204
    assert code(await device.refresh()) == (401, "SESSION_REVOKED")


async def test_the_list_of_sessions_says_which_are_bound(node: TestServer) -> None:
    device = Device(node)
    bound, unbound = await device.sign_in(), await node.sign_in()
    response = await node.http.get("/api/sessions", headers=bearer(unbound["accessToken"]))
    listed = {one["current"]: one["bound"] for one in response.json()["sessions"]}
    assert listed == {True: False, False: True}
    assert bound["bound"]


async def test_another_origin_may_send_proofs_and_read_nonces(start: StartServer) -> None:
    origin = "https://app.example"
    node = await start(cors_origins=(origin,))
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,dpop",
    }
    allowed = await node.http.options("/api/refresh", headers=asked)
    assert allowed.status_code == 200
    assert "dpop" in allowed.headers["access-control-allow-headers"].lower()
    response = await node.http.post("/api/login", json={}, headers={"Origin": origin})
    assert "DPoP-Nonce" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize("dpop", ["refresh", "all"])
async def test_without_refresh_tokens_only_calls_can_be_bound(
    start: StartServer, dpop: str
) -> None:
    node = await start(refresh=False, dpop=dpop)
    assert (await Device(node).sign_in()).get("bound", False) is (dpop == "all")


async def test_no_part_of_a_proof_is_logged(
    node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    device, thief = Device(node), Device(node, ELSEWHERE)
    await device.sign_in()
    proof = device.maker.proof("POST", REFRESH)
    body = {"refreshToken": device.tokens["refreshToken"]}
    answers = [
        await thief.post(REFRESH, body, *sent)
        for sent in ([], [proof], [proof, proof], [proof[:-4]])
    ]
    answers.append(await thief.refresh(body["refreshToken"]))
    assert {one.status_code for one in answers} == {401}
    logged = " ".join(f"{one.getMessage()} {one.__dict__}" for one in caplog.records)
    assert "refresh_proof_refused" in logged
    for secret in (*proof.split("."), device.maker.jkt, thief.maker.jkt, *body.values()):
        assert secret not in logged
        assert not any(secret in one.text for one in answers)
