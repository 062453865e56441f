"""Sign in at a provider that may lie, and get a session of this server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette

from tests.server.browsers import (
    CALLBACK,
    ORIGIN,
    TOKEN,
    Browser,
    answered,
    parameters_of,
    query_of,
)
from tests.server.harness import HASHER, PASSWORD, StartServer, TestServer, bearer
from tests.server.stores import rows
from tests.support.clock import FakeClock
from tests.support.lying_provider import DESCRIPTION, LyingProvider
from tests.support.proof_maker import ProofMaker
from unexpired_server import (
    Delivery,
    Identity,
    Service,
    Settings,
    SettingsError,
    User,
    load_settings,
)
from unexpired_server.sessions.identities import usernames_for

STORES = ("sqlite", "postgres")


@pytest.fixture
def provider(clock: FakeClock) -> Iterator[LyingProvider]:
    with LyingProvider(now=clock) as provider:
        yield provider


def options(provider: LyingProvider, **changes: Any) -> dict[str, Any]:
    return {
        "login_with": provider.issuer,
        "login_with_client_id": "notes",
        "public_url": ORIGIN,
        **changes,
    }


@pytest.fixture
async def node(start: StartServer, provider: LyingProvider) -> TestServer:
    return await start(**options(provider))


@pytest.fixture
def visitor(node: TestServer) -> Browser:
    return Browser(node.app)


async def count(node: TestServer, table: str) -> int:
    found = await rows(node.settings.database_url, f"SELECT count(*) FROM {table}")  # noqa: S608
    return int(found[0][0])


async def kinds(node: TestServer) -> list[str]:
    found = await rows(node.settings.database_url, "SELECT kind FROM events ORDER BY id")
    return [str(one[0]) for one in found]


# -- The way there and back ------------------------------------------------------------------


async def test_a_person_signs_in_and_gets_a_session_like_any_other(
    node: TestServer, visitor: Browser
) -> None:
    page = await visitor.visit()
    assert page.startswith("/#/login?code=")
    response = await visitor.redeem(page)
    tokens = response.json()
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert tokens["user"]["username"].startswith("ada-")  # There is a local ada.
    assert (await node.me(tokens["accessToken"])).json()["id"] == tokens["user"]["id"]
    listed = await node.http.get("/api/sessions", headers=bearer(tokens["accessToken"]))
    assert len(listed.json()["sessions"]) == 1
    refreshed = await node.refreshed(tokens["refreshToken"])
    assert refreshed["accessToken"] != tokens["accessToken"]
    assert await kinds(node) == ["sign_up", "sign_in"]


async def test_what_the_provider_is_asked(visitor: Browser, provider: LyingProvider) -> None:
    url = await visitor.leave()
    asked = query_of(url)
    assert url.startswith(f"{provider.url}/authorize?")
    assert asked.pop("state") != asked.pop("nonce")
    assert len(asked.pop("code_challenge")) == 43
    assert asked == {
        "response_type": "code",
        "client_id": "notes",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "code_challenge_method": "S256",
    }
    await visitor.come_back(await answered(url))
    [form] = provider.forms("/token")
    assert form["grant_type"] == "authorization_code"
    assert form["redirect_uri"] == CALLBACK
    assert form["client_id"] == "notes"


async def test_the_same_person_is_the_same_user_whatever_the_claims_say(
    node: TestServer, provider: LyingProvider
) -> None:
    first = await Browser(node.app).sign_in()
    provider.claims = {"email": "bob@example.com", "preferred_username": "bob"}
    assert (await Browser(node.app).sign_in())["user"] == first["user"]
    provider.subject = "eve"
    provider.claims = {"email": "ada@example.com", "preferred_username": "ada"}
    assert (await Browser(node.app).sign_in())["user"]["id"] != first["user"]["id"]
    assert await kinds(node) == ["sign_up", "sign_in", "sign_in", "sign_up", "sign_in"]


async def test_nobody_gets_a_user_of_the_same_name(node: TestServer, visitor: Browser) -> None:
    local = (await node.sign_in("ada"))["user"]
    tokens = await visitor.sign_in()
    assert tokens["user"]["id"] != local["id"]
    assert tokens["user"]["username"].startswith("ada-")
    assert (await node.sign_in("ada"))["user"] == local


async def test_a_user_without_a_password_cannot_be_signed_in_with_one(
    node: TestServer, visitor: Browser
) -> None:
    name = (await visitor.sign_in())["user"]["username"]
    for password in ("", " ", PASSWORD, "!"):
        response = await node.http.post("/api/login", json={"username": name, "password": password})
        assert response.status_code in {400, 401}


async def test_a_disabled_user_is_refused(node: TestServer, visitor: Browser) -> None:
    tokens = await visitor.sign_in()
    service: Service = node.app.state.service
    account = await service.users.find(tokens["user"]["username"])
    assert account is not None
    waiting = await visitor.visit()
    await service.sessions.disable(account)
    assert (await visitor.redeem(waiting)).json()["code"] == "SIGN_IN_INVALID"
    assert parameters_of(await visitor.visit()) == {"failed": "NOT_ALLOWED"}
    assert (await kinds(node))[-2:] == ["sign_in_failed", "sign_in_failed"]


@pytest.mark.parametrize(
    ("wanted", "page"),
    [
        ("/", "/#code={}"),
        ("/app/?tab=1", "/app/?tab=1#code={}"),
        ("/app/#/login", "/app/#/login?code={}"),
        ("/#/login?next=%2F%23%2Fnotes", "/#/login?next=%2F%23%2Fnotes&code={}"),
        ("/#/login?failed=ACCESS_DENIED", "/#/login?code={}"),
        ("/#code=old", "/#code={}"),
        ("/straße", "/stra%C3%9Fe#code={}"),
    ],
)
async def test_the_page_is_where_it_said(visitor: Browser, wanted: str, page: str) -> None:
    location = await visitor.visit(next=wanted)
    assert location == page.format(parameters_of(location)["code"])


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example",
        "/\t/evil.example", "/..//evil.example", "/%2e%2e//evil.example", "javascript:alert(1)",
        "evil.example", "", " /", "/" + 500 * "a", "/a\r\nSet-Cookie: a=b",
    ],
)  # fmt: skip
async def test_no_next_leads_away(visitor: Browser, provider: LyingProvider, wanted: str) -> None:
    assert (await visitor.visit(next=wanted)).startswith("/#/login?code=")
    provider.answer = {"error": "access_denied", "code": None}
    assert await visitor.visit(next=wanted) == "/#/login?failed=ACCESS_DENIED"


@pytest.mark.parametrize("challenge", ["", "a", 43 * "=", 44 * "A", 42 * "A" + "B", "ü" * 43])
async def test_without_a_challenge_nobody_leaves(visitor: Browser, challenge: str) -> None:
    response = await visitor.begin(challenge=challenge)
    assert (response.status_code, response.json()["code"]) == (400, "BAD_REQUEST")


# -- The code in the fragment ----------------------------------------------------------------


async def test_a_code_is_good_once(visitor: Browser) -> None:
    page = await visitor.visit()
    outcomes = await asyncio.gather(*(visitor.redeem(page) for _ in range(5)))
    assert sorted(one.status_code for one in outcomes) == [200, 400, 400, 400, 400]
    assert {one.json()["code"] for one in outcomes if one.is_error} == {"SIGN_IN_INVALID"}


async def test_a_code_is_good_for_a_minute(visitor: Browser, clock: FakeClock) -> None:
    page = await visitor.visit()
    clock.advance(60)
    assert (await visitor.redeem(page)).json()["code"] == "SIGN_IN_INVALID"


async def test_a_code_is_worth_nothing_to_another_page_and_is_not_spoilt_by_it(
    node: TestServer, visitor: Browser
) -> None:
    page = await visitor.visit()
    thief = Browser(node.app)
    assert (await thief.redeem(page)).json()["code"] == "SIGN_IN_INVALID"
    assert (await visitor.redeem(page)).status_code == 200


async def test_guessed_codes_are_limited(visitor: Browser) -> None:
    page = await visitor.visit()
    for _ in range(100):
        response = await visitor.redeem("/#code=guessed")
        assert response.json()["code"] == "SIGN_IN_INVALID"
    assert (await visitor.redeem("/#code=guessed")).status_code == 429
    response = await visitor.redeem(page)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0


async def test_the_database_has_nothing_that_could_be_presented(
    node: TestServer, visitor: Browser, clock: FakeClock
) -> None:
    page = await visitor.visit()
    [row] = await rows(node.settings.database_url, "SELECT * FROM sign_in_codes")
    assert parameters_of(page)["code"] not in row
    assert visitor.verifier not in row
    clock.advance(61)
    service: Service = node.app.state.service
    await service._codes.purge(clock())  # noqa: SLF001 - as the service does each hour
    assert await count(node, "sign_in_codes") == 0


async def test_the_session_is_bound_to_the_key_of_the_page(
    visitor: Browser, maker: ProofMaker, node: TestServer
) -> None:
    page = await visitor.visit()
    proof = maker.proof("POST", f"{ORIGIN}{TOKEN}", nonce="not ours")
    refused = await visitor.redeem(page, headers={"DPoP": proof})
    assert refused.json()["code"] == "USE_DPOP_NONCE"
    proof = maker.proof("POST", f"{ORIGIN}{TOKEN}", nonce=refused.json()["nonce"])
    tokens = (await visitor.redeem(page, headers={"DPoP": proof})).json()
    assert tokens["bound"] is True
    assert (await node.refresh(tokens["refreshToken"])).json()["code"] == "INVALID_PROOF"


async def test_the_refresh_token_may_be_in_the_cookie(
    start: StartServer, provider: LyingProvider
) -> None:
    node = await start(**options(provider, cookies=True))
    visitor = Browser(node.app)
    page = await visitor.visit()
    elsewhere = await visitor.redeem(
        page, body={"cookie": True}, headers={"Origin": "https://evil.example"}
    )
    assert elsewhere.status_code == 400
    response = await visitor.redeem(page, body={"cookie": True}, headers={"Origin": ORIGIN})
    assert "refreshToken" not in response.json()
    assert response.headers["set-cookie"].startswith("__Host-unexpired=rt1.")


# -- Lies ------------------------------------------------------------------------------------

FOREIGN = rsa.generate_private_key(65537, 2048)


def signed_by_another(provider: LyingProvider, nonce: str) -> str:
    now = int(provider._now())  # noqa: SLF001 - the clock of both
    claims = {
        "iss": provider.issuer, "aud": "notes", "sub": "ada", "iat": now, "exp": now + 300,
        "nonce": nonce,
    }  # fmt: skip
    return jwt.encode(claims, FOREIGN, "RS256", {"kid": "one"})


LIES: dict[str, Mapping[str, Any]] = {
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "no issuer": {"claims": {"iss": None}},
    "another audience": {"claims": {"aud": "shop"}},
    "several audiences": {"claims": {"aud": ["notes", "shop"]}},
    "another party": {"claims": {"aud": ["notes", "shop"], "azp": "shop"}},
    "another party of one audience": {"claims": {"azp": "shop"}},
    "no audience": {"claims": {"aud": None}},
    "another nonce": {"claims": {"nonce": "another"}},
    "no nonce": {"claims": {"nonce": None}},
    "a nonce that is no text": {"claims": {"nonce": 7}},
    "no subject": {"claims": {"sub": None}},
    "an empty subject": {"claims": {"sub": ""}},
    "a subject that is no text": {"claims": {"sub": 7}},
    "a subject with a NUL": {"claims": {"sub": "ada\0"}},
    "a long subject": {"claims": {"sub": 256 * "a"}},
    "expired": {"claims": {"iat": 1_799_990_000, "exp": 1_799_999_000}},
    "never expires": {"claims": {"exp": None}},
    "expires before it is made": {"claims": {"iat": 1_800_000_010, "exp": 1_800_000_000}},
    "from the future": {"claims": {"iat": 1_800_001_000}},
    "not signed": {"algorithm": "none"},
    "signed with a secret": {"algorithm": "HS256"},
    "signed with a key that is not listed": {"algorithm": "ES256"},
    "an unknown key": {"header": {"kid": "two"}},
    "an access token": {"header": {"typ": "at+jwt"}},
    "a key of its own": {"header": {"jwk": {"kty": "oct", "k": "AA"}}},
    "a critical header": {"header": {"crit": ["exp"]}},
    "no ID token": {"tokens": {"id_token": None}},
    "an ID token that is no text": {"tokens": {"id_token": {}}},
    "an ID token that is none": {"tokens": {"id_token": "a.b.c"}},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_in_the_id_token_gets_nothing(
    node: TestServer, visitor: Browser, provider: LyingProvider, lie: str
) -> None:
    for name, changes in LIES[lie].items():
        setattr(provider, name, changes)
    assert await visitor.visit() == "/#/login?failed=UNTRUSTED_TOKEN"
    assert await count(node, "sessions") == await count(node, "identities") == 0


async def test_a_foreign_signature_gets_nothing(visitor: Browser, provider: LyingProvider) -> None:
    url = await visitor.leave()
    provider.tokens = {"id_token": signed_by_another(provider, query_of(url)["nonce"])}
    assert parameters_of(await visitor.come_back(await answered(url))) == {
        "failed": "UNTRUSTED_TOKEN"
    }


async def test_the_id_token_of_another_sign_in_gets_nothing(
    node: TestServer, visitor: Browser
) -> None:
    """A stolen code is injected into a sign-in of the thief's (RFC 9700, section 4.5)."""
    theirs = query_of(await answered(await Browser(node.app).leave()))
    state = query_of(await visitor.leave())["state"]
    injected = {**theirs, "state": state}
    page = await visitor.come_back(f"{CALLBACK}?{urlencode(injected)}")
    assert parameters_of(page) == {"failed": "PROVIDER_REFUSED"}  # For want of the verifier.


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"iss": "https://evil.example"}, "PROVIDER_MISMATCH"),
        ({"iss": None}, "PROVIDER_MISMATCH"),
        ({"iss": "https://evil.example", "error": "access_denied", "code": None},
         "PROVIDER_MISMATCH"),
        ({"code": None}, "BAD_ANSWER"),
        ({"code": ["a", "b"]}, "UNKNOWN_SIGN_IN"),
        ({"state": None}, "UNKNOWN_SIGN_IN"),
        ({"state": "forged"}, "UNKNOWN_SIGN_IN"),
        ({"code": "forged"}, "PROVIDER_REFUSED"),
        ({"error": "access_denied", "code": None}, "ACCESS_DENIED"),
        ({"error": "temporarily_unavailable", "code": None}, "PROVIDER_UNAVAILABLE"),
        ({"error": "<script>", "error_description": DESCRIPTION, "code": None},
         "PROVIDER_REFUSED"),
    ],
)  # fmt: skip
async def test_a_lie_in_the_answer_gets_nothing(
    node: TestServer, visitor: Browser, provider: LyingProvider, answer: dict[str, Any], code: str
) -> None:
    provider.answer = answer
    assert await visitor.visit() == f"/#/login?failed={code}"
    assert await count(node, "sign_in_codes") == 0


async def test_without_a_promise_to_name_itself_a_provider_need_not(
    visitor: Browser, provider: LyingProvider
) -> None:
    provider.metadata = {"authorization_response_iss_parameter_supported": None}
    provider.answer = {"iss": None}
    assert "code" in parameters_of(await visitor.visit())
    provider.answer = {"iss": "https://evil.example"}
    assert parameters_of(await visitor.visit()) == {"failed": "PROVIDER_MISMATCH"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"authorization_endpoint": "http://evil.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": ["https://evil.example"]},
        {"token_endpoint": "http://evil.example/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": None},
    ],
)
async def test_a_provider_that_describes_itself_wrongly_is_not_used(
    visitor: Browser, provider: LyingProvider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata
    response = await visitor.begin()
    if "token_endpoint" in metadata:
        page = await visitor.come_back(await answered(response.headers["location"]))
    else:
        page = response.headers["location"]
    assert page == "/#/login?failed=PROVIDER_MISMATCH"


async def test_another_issuers_document_is_not_used(
    visitor: Browser, provider: LyingProvider
) -> None:
    provider.metadata = {"issuer": "https://evil.example"}
    response = await visitor.begin()
    assert response.headers["location"] == "/#/login?failed=PROVIDER_UNAVAILABLE"


async def test_names_are_asked_for_where_the_id_token_has_none(
    visitor: Browser, provider: LyingProvider
) -> None:
    provider.claims = {"email": None, "name": None}
    provider.user = {"preferred_username": "Grace"}
    assert (await visitor.sign_in())["user"]["username"] == "grace"
    provider.user = {"sub": "eve", "preferred_username": "eve"}
    assert parameters_of(await visitor.visit()) == {"failed": "UNTRUSTED_TOKEN"}
    provider.fail("/userinfo", 503)
    assert parameters_of(await visitor.visit()) == {"failed": "PROVIDER_UNAVAILABLE"}


# -- Outages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_an_outage_of_the_provider_is_no_refusal(
    visitor: Browser, provider: LyingProvider, status: int
) -> None:
    provider.fail("/token", status)
    assert await visitor.visit(next="/app/#/in") == "/app/#/in?failed=PROVIDER_UNAVAILABLE"
    provider.answers.clear()
    assert (await visitor.sign_in())["accessToken"]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"<html>", "BAD_ANSWER"), (b"[]", "BAD_ANSWER"), (b"{}", "UNTRUSTED_TOKEN"),
     (b" " * 100_000, "PROVIDER_UNAVAILABLE")],
)  # fmt: skip
async def test_nonsense_from_the_provider_is_bounded(
    visitor: Browser, provider: LyingProvider, content: bytes, code: str
) -> None:
    provider.answers["/token"] = 200, {}, content
    assert parameters_of(await visitor.visit()) == {"failed": code}


async def test_a_redirect_of_the_token_endpoint_is_not_followed(
    visitor: Browser, provider: LyingProvider
) -> None:
    provider.answers["/token"] = 307, {"Location": f"{provider.url}/elsewhere"}, b""
    assert parameters_of(await visitor.visit()) == {"failed": "PROVIDER_REFUSED"}
    assert "/elsewhere" not in provider.requests


async def test_a_provider_that_is_down_from_the_start(
    visitor: Browser, provider: LyingProvider
) -> None:
    provider.fail(provider.discovery, 503)
    response = await visitor.begin(next="/#/in")
    assert response.headers["location"] == "/#/in?failed=PROVIDER_UNAVAILABLE"
    assert "set-cookie" not in response.headers


# -- Cookies ---------------------------------------------------------------------------------


async def test_a_callback_counts_only_in_the_browser_that_began_it(
    node: TestServer, visitor: Browser
) -> None:
    callback = await answered(await visitor.leave())
    victim = Browser(node.app)
    assert parameters_of(await victim.come_back(callback)) == {"failed": "UNKNOWN_SIGN_IN"}
    await victim.leave()  # With a cookie of a sign-in of its own.
    assert parameters_of(await victim.come_back(callback)) == {"failed": "UNKNOWN_SIGN_IN"}
    assert "code" in parameters_of(await visitor.come_back(callback))


async def test_a_callback_is_good_once(visitor: Browser) -> None:
    callback = await answered(await visitor.leave())
    cookies = dict(visitor.http.cookies)
    assert "code" in parameters_of(await visitor.come_back(callback))
    assert not visitor.http.cookies
    assert parameters_of(await visitor.come_back(callback)) == {"failed": "UNKNOWN_SIGN_IN"}
    visitor.http.cookies.update(cookies)  # Also where the cookie was copied.
    assert parameters_of(await visitor.come_back(callback)) == {"failed": "PROVIDER_REFUSED"}


async def test_two_sign_ins_at_once_do_not_mix(visitor: Browser) -> None:
    one, other = await visitor.leave(next="/#/one"), await visitor.leave(next="/#/other")
    assert len(visitor.http.cookies) == 2
    assert (await visitor.come_back(await answered(one))).startswith("/#/one?code=")
    assert (await visitor.come_back(await answered(other))).startswith("/#/other?code=")
    assert not visitor.http.cookies


async def test_a_browser_never_collects_many_cookies(visitor: Browser) -> None:
    for _ in range(12):
        await visitor.leave(next="/" + 400 * "a")
        assert len(visitor.http.cookies) <= 6
    url = await visitor.leave()
    assert "code" in parameters_of(await visitor.come_back(await answered(url)))


@pytest.mark.parametrize("at", [0, 5, 100, -1])
async def test_a_changed_cookie_is_none(visitor: Browser, at: int) -> None:
    callback = await answered(await visitor.leave())
    [(name, value)] = dict(visitor.http.cookies).items()
    changed = list(value)
    changed[at] = "A" if changed[at] != "A" else "B"
    visitor.http.cookies = httpx.Cookies({name: "".join(changed)})
    assert parameters_of(await visitor.come_back(callback)) == {"failed": "UNKNOWN_SIGN_IN"}


async def test_a_person_who_comes_late_is_back_at_the_page(
    visitor: Browser, clock: FakeClock
) -> None:
    callback = await answered(await visitor.leave(next="/#/in"))
    clock.advance(600)
    assert await visitor.come_back(callback) == "/#/in?failed=SIGN_IN_TIMED_OUT"


async def test_the_cookie_is_for_this_host_and_its_https_only(
    start: StartServer, provider: LyingProvider
) -> None:
    node = await start(**options(provider, public_url="https://notes.example"))
    response = await Browser(node.app).begin()
    name, _, attributes = response.headers["set-cookie"].partition("=")
    assert name.startswith("__Host-unexpired-login-")
    assert attributes.split("; ")[1:] == [
        "Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=3600",
    ]  # fmt: skip
    asked = query_of(response.headers["location"])
    assert asked["redirect_uri"] == "https://notes.example/api/login/provider/callback"
    assert asked["state"] not in response.headers["set-cookie"]


# -- Nodes -----------------------------------------------------------------------------------


async def test_another_node_finishes_what_one_began_also_after_a_restart(
    start: StartServer, provider: LyingProvider
) -> None:
    first, second, third = [await start(**options(provider)) for _ in range(3)]
    visitor = Browser(first.app)
    url = await visitor.leave()
    visitor.use(second.app)
    page = await visitor.come_back(await answered(url))
    visitor.use(third.app)
    assert (await visitor.redeem(page)).status_code == 200
    visitor.use(first.app)
    assert (await visitor.redeem(page)).status_code == 400


async def test_a_new_person_in_two_tabs_at_once_is_one_user(
    start: StartServer, provider: LyingProvider
) -> None:
    nodes = [await start(**options(provider)) for _ in range(4)]
    tokens = await asyncio.gather(*(Browser(one.app).sign_in() for one in nodes))
    assert len({one["user"]["id"] for one in tokens}) == 1
    assert await count(nodes[0], "identities") == 1


# -- Own users -------------------------------------------------------------------------------


class Members:
    """An application's users, who are the members of an organization at the provider."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], User] = {}
        self.seen: list[Identity] = []
        self.fails = False

    async def authenticate(self, _username: str, _password: str) -> User | None:
        return None

    async def find(self, user_id: str) -> User | None:
        return next((one for one in self.known.values() if one.id == user_id), None)

    async def find_or_create_identity(self, identity: Identity) -> User | None:
        self.seen.append(identity)
        if self.fails:
            raise RuntimeError("down")
        if identity.claims.get("org") != "us":
            return None
        key = identity.issuer, identity.subject
        return self.known.setdefault(key, User(f"member-{len(self.known)}", "Ada L."))


async def test_an_application_finds_or_creates_its_own_users(
    provider: LyingProvider, clock: FakeClock, store: str, tmp_path: Path
) -> None:
    members = Members()
    settings = Settings(database_url=store, keys_file=tmp_path / "keys.json", **options(provider))
    service = Service(settings, users=members, now=clock)
    app = Starlette(routes=service.routes("/auth"))
    async with service.running():
        visitor = Browser(app, prefix="/auth")
        assert parameters_of(await visitor.visit()) == {"failed": "NOT_ALLOWED"}
        provider.claims = {"org": "us"}
        tokens = await visitor.sign_in()
        assert tokens["user"] == {
            "id": "member-0", "username": "Ada L.", "scopes": [], "loginWith": "127.0.0.1"
        }  # fmt: skip
        refreshed = await visitor.http.post(
            "/auth/refresh", json={"refreshToken": tokens["refreshToken"]}
        )
        assert refreshed.status_code == 200
        members.fails = True
        assert parameters_of(await visitor.visit()) == {"failed": "UNAVAILABLE"}
    assert members.seen[0].claims["email"] == "ada@example.com"
    assert "example.com" not in repr(members.seen)


class WithoutIdentities:
    async def authenticate(self, _username: str, _password: str) -> User | None:
        return None

    async def find(self, _user_id: str) -> User | None:
        return None


def test_own_users_need_a_method_for_people(provider: LyingProvider) -> None:
    with pytest.raises(SettingsError, match="find_or_create_identity: see IdentityStore"):
        Service(Settings(**options(provider)), users=WithoutIdentities())


# -- Names, settings, logs -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "first"),
    [
        ({"preferred_username": "Ada", "email": "ada@b.example"}, "ada"),
        ({"email": "ada.l@b.example", "email_verified": True}, "ada.l"),
        ({"preferred_username": "ada@b.example"}, "ada"),
        ({"preferred_username": "@b.example", "email": "ada@b.example"}, "ada"),
        ({"preferred_username": "Ada Lovelace", "email": "ada@b.example"}, "ada"),
        ({"preferred_username": "\u0430da"}, "user-"),
        ({"preferred_username": 7, "email": ["a"]}, "user-"),
        ({"preferred_username": 65 * "a"}, "user-"),
        ({}, "user-"),
    ],
)
def test_a_name_is_made_of_what_the_provider_says(claims: dict[str, Any], first: str) -> None:
    names = list(usernames_for(Identity("https://a.example", "1", claims)))
    assert names[0].startswith(first)
    assert (names[0] == first) is not first.endswith("-")
    assert len(set(names)) == len(names) > 1
    assert all(0 < len(one) <= 64 and "@" not in one for one in names)
    other = list(usernames_for(Identity("https://a.example", "2", claims)))
    assert set(names) & set(other) == ({first} if first != "user-" else set())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"login_with": "http://login.example"}, "login_with: must be the https URL"),
        ({"login_with": "login.example"}, "login_with: must be the https URL"),
        ({"login_with": "https://login.example/?a=b"}, "login_with: must be the https URL"),
        ({"login_with": "https://ada:secret@login.example"}, "login_with: must be the https URL"),
        ({"login_with": f"https://login.example/{'a' * 255}"}, "login_with: must be the https URL"),
        ({"login_with_client_id": ""}, "login_with needs login_with_client_id"),
        ({"public_url": ""}, "login_with needs public_url"),
        ({"login_with_scope": "profile"}, "login_with_scope needs openid"),
    ],
)
def test_settings_that_cannot_work_are_named(changes: dict[str, str], problem: str) -> None:
    good = {
        "login_with": "https://login.example/tenant/",
        "login_with_client_id": "notes",
        "public_url": "https://notes.example",
    }
    assert load_settings(**good).login_with == "https://login.example/tenant/"
    with pytest.raises(SettingsError, match=problem):
        load_settings(**{**good, **changes})


async def test_pages_learn_of_the_provider_where_there_is_one(
    start: StartServer, provider: LyingProvider
) -> None:
    without = await start()
    assert "loginWith" not in (await without.http.get("/api/features")).json()
    assert (await without.http.get("/api/login/provider")).status_code == 404
    named = await start(**options(provider, login_with_label="Our company"))
    assert (await named.http.get("/api/features")).json()["loginWith"] == "Our company"
    unnamed = await start(**options(provider))
    assert (await unnamed.http.get("/api/features")).json()["loginWith"] == "127.0.0.1"
    assert (
        "/api/login/provider/callback" in (await unnamed.http.get("/openapi.json")).json()["paths"]
    )


async def test_a_link_for_a_forgotten_password_is_not_for_who_has_none(
    provider: LyingProvider, clock: FakeClock, store: str, tmp_path: Path
) -> None:
    delivered: list[str] = []

    async def deliver(delivery: Delivery) -> None:
        delivered.append(delivery.user.username)

    settings = Settings(database_url=store, keys_file=tmp_path / "keys.json", **options(provider))
    service = Service(settings, deliver=deliver, now=clock, hasher=HASHER)
    async with service.running():
        visitor = Browser(Starlette(routes=service.routes()))
        name = (await visitor.sign_in())["user"]["username"]
        for one in (name, "bob"):
            await visitor.http.post("/api/password/forgot", json={"username": one})
    assert delivered == ["bob"]


async def test_no_log_has_a_secret(
    start: StartServer,
    provider: LyingProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    secret = "what-the-provider-gave-us"
    node = await start(**options(provider, login_with_client_secret=secret))
    assert secret not in repr(node.settings)
    visitor = Browser(node.app)
    await visitor.sign_in()
    assert provider.forms("/token")[-1]["client_secret"] == secret
    provider.claims = {"nonce": "another"}
    await visitor.visit()
    provider.fail("/token", 400, "invalid_client")
    await visitor.visit()
    provider.fail("/token", 400, "a secret of somebody's")
    await visitor.visit()
    ours = [one for one in caplog.records if not one.name.startswith(("http", "aiosqlite"))]
    logged = "\n".join(f"{one.getMessage()} {one.__dict__}" for one in ours)
    assert "invalid_client" in logged
    forms = provider.forms("/token") + provider.forms("/authorize")
    secrets = {value for form in forms for name, value in form.items() if name in HIDDEN}
    assert len(secrets) > 10
    for text in (*secrets, secret, visitor.verifier, "a secret of somebody's", DESCRIPTION):
        assert text not in logged


HIDDEN = {"code", "state", "nonce", "code_verifier", "code_challenge", "client_secret"}


async def test_sign_ins_are_limited_and_counted(
    start: StartServer, provider: LyingProvider
) -> None:
    node = await start(**options(provider, sign_in_limit="2 per hour"))
    visitor = Browser(node.app)
    for _ in range(2):
        await visitor.sign_in()
    assert parameters_of(await visitor.visit()) == {"failed": "RATE_LIMITED"}
    metrics = (await node.http.get("/metrics")).text
    assert 'outcome="RATE_LIMITED"} 1.0' in metrics


async def test_forged_answers_do_not_make_us_ask_the_provider_without_end(
    start: StartServer, provider: LyingProvider
) -> None:
    node = await start(**options(provider, address_limit="3 per hour"))
    visitor = Browser(node.app)
    provider.answer = {"code": "forged"}
    for _ in range(3):
        assert parameters_of(await visitor.visit()) == {"failed": "PROVIDER_REFUSED"}
    asked = provider.requests["/token"]
    assert parameters_of(await visitor.visit()) == {"failed": "RATE_LIMITED"}
    assert parameters_of(await visitor.visit()) == {"failed": "RATE_LIMITED"}
    assert provider.requests["/token"] <= asked + 1
