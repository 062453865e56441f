"""An application's own users: sign-in, refresh and ``/api/me`` by its own table."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tests.server.harness import HASHER, PASSWORD, TestServer
from tests.server.stores import rows
from tests.support.clock import FakeClock
from unexpired_server import (
    ClaimsHook,
    Forbidden,
    Passwords,
    SecondStepRequired,
    Service,
    Settings,
    User,
    UserStore,
)
from unexpired_server.errors import BadCredentials
from unexpired_server.sessions import directory, grants

STORES = ("sqlite", "postgres")
LONG_ID = "https://example.com/user/" + "ü" * 30


@dataclass(frozen=True)
class Person(User):
    """A user with more than the server asks for."""

    email: str = field(default="", repr=False)


class People:
    """A shop's table of people, with numbers as ids, e-mail addresses and a second step."""

    def __init__(self) -> None:
        self.passwords = Passwords(HASHER)
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE people (id TEXT, email TEXT, hash TEXT, roles TEXT)")
        self.outage: BaseException | None = None
        self.seen: list[dict[str, Any]] = []
        for user_id, email, roles in [
            ("7", "ada@example.com", "orders:write"),
            (LONG_ID, "bob", ""),
        ]:
            row = user_id, email, self.passwords.hash(PASSWORD), roles
            self.database.execute("INSERT INTO people VALUES (?, ?, ?, ?)", row)

    async def authenticate(
        self, username: str, password: str, otp: str | None = None
    ) -> Person | None:
        self._fail()
        self.seen.append({"otp": otp})
        row = self._row("email", username)
        if not await self.passwords.verify(password, row[2] if row else None) or row is None:
            return None
        if row[3] == "two-steps" and otp != "123456":
            raise SecondStepRequired(methods=["otp"])
        return self._person(row)

    async def find(self, user_id: str) -> Person | None:
        self._fail()
        row = self._row("id", user_id)
        return self._person(row) if row else None

    def change(self, statement: str) -> None:
        self.database.execute(statement)

    def _row(self, column: str, value: str) -> Any:
        query = f"SELECT * FROM people WHERE {column} = ?"  # noqa: S608 - our own names
        return self.database.execute(query, (value,)).fetchone()

    def _person(self, row: Any) -> Person:
        return Person(row[0], row[1], frozenset(row[3].split()), email=row[1])

    def _fail(self) -> None:
        if self.outage:
            raise self.outage


@dataclass
class Shop(TestServer):
    """An application with its own users."""

    __test__ = False
    service: Service = field(kw_only=True)

    async def claims_of(self, tokens: dict[str, Any]) -> Any:
        return self.service.access_tokens.verify(tokens["accessToken"])


Open = Callable[..., Any]


@pytest.fixture
async def open_shop(
    make_settings: Callable[..., Settings], clock: FakeClock
) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(
            users: UserStore | None, claims: ClaimsHook | None = None, **settings: Any
        ) -> Shop:
            made = make_settings(**settings)
            service = Service(made, now=clock, hasher=HASHER, users=users, claims=claims)
            await service.database.migrate()
            await stack.enter_async_context(service.running())
            app = Starlette(routes=service.routes())
            http = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://127.0.0.1"
            )
            await stack.enter_async_context(http)
            return Shop(app, made, clock, http, service=service)

        yield opened


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
async def shop(open_shop: Open, people: People) -> Shop:
    made: Shop = await open_shop(people)
    return made


async def failed(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


# -- Sign-in, refresh and /api/me ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("username", "user_id", "scopes"),
    [("ada@example.com", "7", ["orders:write"]), ("bob", LONG_ID, [])],
)
async def test_a_user_of_an_application_signs_in_refreshes_and_signs_out(
    shop: Shop, username: str, user_id: str, scopes: list[str]
) -> None:
    tokens = await shop.sign_in(username)
    user = {"id": user_id, "username": username, "scopes": scopes}
    assert tokens["user"] == user
    again = await shop.refreshed(tokens["refreshToken"])
    assert (await shop.me(again["accessToken"])).json() == user
    claims = await shop.claims_of(again)
    assert (claims.user_id, sorted(claims.scopes)) == (user_id, scopes)
    headers = {"Authorization": f"Bearer {again['accessToken']}"}
    listed = (await shop.http.get("/api/sessions", headers=headers)).json()["sessions"]
    assert [one["current"] for one in listed] == [True]
    out = await shop.http.post("/api/logout", json={"refreshToken": again["refreshToken"]})
    assert out.status_code == 204
    assert await failed(await shop.refresh(again["refreshToken"])) == (401, "SESSION_REVOKED")


async def test_a_change_in_the_applications_table_takes_effect_at_the_next_refresh(
    shop: Shop, people: People
) -> None:
    tokens = await shop.sign_in("ada@example.com")
    people.change("UPDATE people SET roles = 'a b', email = 'ada@new.example' WHERE id = '7'")
    again = await shop.refreshed(tokens["refreshToken"])
    assert (await shop.claims_of(again)).scopes == {"a", "b"}
    assert (await shop.claims_of(tokens)).scopes == {"orders:write"}
    me = (await shop.me(again["accessToken"])).json()
    assert me == {"id": "7", "username": "ada@new.example", "scopes": ["a", "b"]}


async def test_a_user_who_is_gone_is_signed_out_at_the_next_refresh(
    shop: Shop, people: People
) -> None:
    tokens = await shop.sign_in("ada@example.com")
    people.change("DELETE FROM people WHERE id = '7'")
    assert await failed(await shop.me(tokens["accessToken"])) == (401, "SESSION_REVOKED")
    refused = await shop.refresh(tokens["refreshToken"])
    assert await failed(refused) == (401, "SESSION_REVOKED")
    url = shop.settings.database_url
    assert await rows(url, "SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(0,)]
    ended = "SELECT user_id, cause FROM events WHERE kind = 'session_revoked'"
    assert await rows(url, ended) == [("7", "disabled")]


async def test_a_repeated_refresh_gets_the_same_successor(shop: Shop) -> None:
    tokens = await shop.sign_in("ada@example.com")
    first = await shop.refreshed(tokens["refreshToken"], "a" * 22)
    shop.clock.advance(1000)
    again = await shop.refreshed(tokens["refreshToken"], "a" * 22)
    assert again["refreshToken"] == first["refreshToken"]


async def test_the_built_in_users_cannot_sign_in(shop: Shop) -> None:
    assert await failed(await shop.login("ada")) == (401, "BAD_CREDENTIALS")


async def test_only_so_many_sessions_of_a_user_live(open_shop: Open, people: People) -> None:
    shop = await open_shop(people, sessions_per_user=2)
    first = await shop.sign_in("ada@example.com")
    for _ in range(2):
        shop.clock.advance(1)
        await shop.sign_in("ada@example.com")
    assert await failed(await shop.refresh(first["refreshToken"])) == (401, "SESSION_REVOKED")


async def test_events_name_the_user_where_there_is_one(shop: Shop) -> None:
    await shop.sign_in("bob")
    await shop.login("bob", "wrong password")
    events = await rows(shop.settings.database_url, "SELECT kind, user_id FROM events ORDER BY id")
    assert events == [("sign_in", LONG_ID), ("sign_in_failed", None)]


# -- Limits ----------------------------------------------------------------------------------------


async def test_failed_sign_ins_are_limited_by_account(open_shop: Open, people: People) -> None:
    shop = await open_shop(people, login_limit="2 per hour")
    outcomes = [await failed(await shop.login("bob", "wrong password")) for _ in range(3)]
    assert outcomes == [(401, "BAD_CREDENTIALS")] * 2 + [(429, "RATE_LIMITED")]
    assert await failed(await shop.login(" BOB")) == (429, "RATE_LIMITED")
    await shop.sign_in("ada@example.com")


@pytest.mark.parametrize(
    "spelling",
    ["ADA LOVELACE", "ada\u00a0 lovelace", "Ada\u200b Lovelace\u00ad", "\uff21da Lovelace"],
)
async def test_spellings_that_a_table_may_take_for_one_name_are_limited_as_one(
    open_shop: Open, people: People, spelling: str
) -> None:
    shop = await open_shop(people, login_limit="1 per hour")
    assert await failed(await shop.login("Ada Lovelace")) == (401, "BAD_CREDENTIALS")
    assert await failed(await shop.login(spelling)) == (429, "RATE_LIMITED")


async def test_guesses_from_elsewhere_do_not_lock_the_owner_out(
    open_shop: Open, people: People
) -> None:
    shop = await open_shop(people, account_limit="1 per hour", trusted_proxies="127.0.0.1")
    await shop.sign_in("bob")

    async def login(address: str, password: str) -> httpx.Response:
        body = {"username": "bob", "password": password}
        transport = httpx.ASGITransport(shop.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.post("/api/login", json=body)

    assert await failed(await login("192.0.2.1", "wrong password")) == (401, "BAD_CREDENTIALS")
    assert await failed(await login("192.0.2.2", PASSWORD)) == (429, "RATE_LIMITED")
    await shop.sign_in("bob")


async def test_a_correct_password_without_its_second_step_is_limited_like_a_sign_in(
    open_shop: Open, people: People
) -> None:
    people.change("UPDATE people SET roles = 'two-steps' WHERE email = 'bob'")
    shop = await open_shop(people, sign_in_limit="2 per hour", login_limit="1 per hour")
    outcomes = []
    for _ in range(3):
        outcomes.append(await failed(await shop.login("bob")))
        await asyncio.gather(*shop.service.rates._background._tasks)  # noqa: SLF001
    assert outcomes == [(401, "SECOND_STEP_REQUIRED")] * 2 + [(429, "RATE_LIMITED")]


# -- Further fields --------------------------------------------------------------------------------


async def sign_in_with(shop: Shop, **fields: Any) -> httpx.Response:
    body = {"username": "bob", "password": PASSWORD, **fields}
    return await shop.http.post("/api/login", json=body)


async def test_a_second_step_is_asked_for_and_taken(shop: Shop, people: People) -> None:
    people.change("UPDATE people SET roles = 'two-steps' WHERE email = 'bob'")
    asked = await sign_in_with(shop)
    assert asked.status_code == 401
    assert asked.json() == {
        "error": "One more step is needed to sign in.",
        "code": "SECOND_STEP_REQUIRED",
        "methods": ["otp"],
    }
    assert (await sign_in_with(shop, otp="123456")).status_code == 200


async def test_fields_that_the_application_has_no_use_for_are_ignored(
    shop: Shop, people: People
) -> None:
    signed_in = await sign_in_with(shop, self=1, otp="1", address="x", extra={"a": [1]})
    assert signed_in.status_code == 200
    assert people.seen == [{"otp": "1"}]


class Greedy(People):
    async def authenticate(  # type: ignore[override]
        self, username: str, password: str, **fields: Any
    ) -> Person | None:
        self.seen.append(fields)
        return await super().authenticate(username, password)


class Demanding(People):
    async def authenticate(  # type: ignore[override]
        self, username: str, password: str, *, tenant: str
    ) -> Person | None:
        return await super().authenticate(username, password, tenant)


STORES_WITH_FIELDS: tuple[UserStore, ...] = (People(), Greedy(), Demanding())
"""For a type checker: each of them fits the protocol."""


async def test_all_fields_go_to_an_application_that_takes_any(open_shop: Open) -> None:
    people = Greedy()
    shop = await open_shop(people)
    assert (await sign_in_with(shop, tenant="x", self=1)).status_code == 200
    assert people.seen[0] == {"tenant": "x"}


async def test_a_field_that_the_application_needs_is_missing(open_shop: Open) -> None:
    shop = await open_shop(Demanding())
    assert await failed(await sign_in_with(shop)) == (400, "BAD_REQUEST")
    assert (await sign_in_with(shop, tenant="x")).status_code == 200


# -- Faults of the application ---------------------------------------------------------------------


async def test_an_outage_of_the_applications_table_ends_nothing(
    shop: Shop, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = await shop.sign_in("ada@example.com")
    people.outage = sqlite3.OperationalError(f"INSERT … [{PASSWORD}]")
    assert await failed(await shop.login("ada@example.com")) == (503, "UNAVAILABLE")
    assert await failed(await shop.refresh(tokens["refreshToken"])) == (503, "UNAVAILABLE")
    assert await failed(await shop.me(tokens["accessToken"])) == (503, "UNAVAILABLE")
    counters = await rows(shop.settings.database_url, "SELECT counter FROM sessions")
    assert counters == [(0,)]
    assert "UserStore.authenticate failed" in caplog.text
    assert "OperationalError" in caplog.text
    assert PASSWORD not in caplog.text
    people.outage = None
    await shop.refreshed(tokens["refreshToken"])


async def test_the_applications_own_failures_are_answered_as_such(
    shop: Shop, people: People
) -> None:
    people.outage = BadCredentials()
    assert await failed(await shop.login("bob")) == (401, "BAD_CREDENTIALS")


async def test_a_wrong_password_that_the_application_raises_is_limited_as_one(
    open_shop: Open, people: People
) -> None:
    people.outage = BadCredentials()
    shop = await open_shop(people, login_limit="2 per hour")
    outcomes = [await failed(await shop.login("bob")) for _ in range(3)]
    assert outcomes == [(401, "BAD_CREDENTIALS")] * 2 + [(429, "RATE_LIMITED")]


class Locked(People):
    """Says that an account is locked after a right password, once another guess was wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()

    async def authenticate(self, username: str, password: str, *_: Any) -> Person | None:
        if await super().authenticate(username, password) is None:
            return None
        await self.may_go_on.wait()
        raise Forbidden


async def test_what_the_application_raises_reveals_no_password_beyond_the_limit(
    open_shop: Open,
) -> None:
    people = Locked()
    shop = await open_shop(people, login_limit="1 per hour")
    right = asyncio.create_task(shop.login("bob"))
    while not people.seen:
        await asyncio.sleep(0)
    assert await failed(await shop.login("bob", "wrong password")) == (401, "BAD_CREDENTIALS")
    people.may_go_on.set()
    assert await failed(await right) == (429, "RATE_LIMITED")


class Hanging(People):
    """Answers nothing while it hangs."""

    hangs = False

    async def authenticate(self, *args: Any, **fields: Any) -> Person | None:
        await self._hang()
        return await super().authenticate(*args, **fields)

    async def find(self, user_id: str) -> Person | None:
        await self._hang()
        return await super().find(user_id)

    async def claims(self, _user: User) -> dict[str, Any]:
        await self._hang()
        return {}

    async def _hang(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()


async def test_a_method_that_hangs_is_given_up_and_ends_nothing(
    open_shop: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    people = Hanging()
    shop = await open_shop(people)
    tokens = await shop.sign_in("bob")
    people.hangs = True
    monkeypatch.setattr(directory, "SECONDS", 0.01)
    monkeypatch.setattr(directory, "SIGN_IN_SECONDS", 0.01)
    assert await failed(await shop.login("bob")) == (503, "UNAVAILABLE")
    assert await failed(await shop.refresh(tokens["refreshToken"])) == (503, "UNAVAILABLE")
    assert await failed(await shop.me(tokens["accessToken"])) == (503, "UNAVAILABLE")
    assert await rows(shop.settings.database_url, "SELECT counter FROM sessions") == [(0,)]
    assert "TimeoutError" in caplog.text
    people.hangs = False
    await shop.refreshed(tokens["refreshToken"])


async def test_a_hook_that_hangs_is_given_up_and_ends_nothing(
    open_shop: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = Hanging()
    shop = await open_shop(None, people.claims)
    tokens = await shop.sign_in()
    people.hangs = True
    monkeypatch.setattr(grants, "SECONDS", 0.01)
    assert await failed(await shop.login()) == (503, "UNAVAILABLE")
    assert await failed(await shop.refresh(tokens["refreshToken"])) == (503, "UNAVAILABLE")
    assert await rows(shop.settings.database_url, "SELECT counter FROM sessions") == [(0,)]


class Nameless(People):
    def _person(self, row: Any) -> Person:
        return Person(row[0], None)  # type: ignore[arg-type]


async def test_a_name_that_is_no_text_opens_no_session(open_shop: Open) -> None:
    shop = await open_shop(Nameless())
    assert await failed(await shop.login("bob")) == (503, "UNAVAILABLE")
    assert await rows(shop.settings.database_url, "SELECT counter FROM sessions") == []


@pytest.mark.parametrize("name", [None, 5, "half a character: \ud83d"])
def test_a_users_name_is_text(name: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="username"):
        User("7", name)


class Careless(People):
    async def authenticate(self, *_: Any, **__: Any) -> Any:
        return {"id": 7}


async def test_what_is_no_user_is_a_fault_of_the_server_that_the_log_names(
    open_shop: Open, caplog: pytest.LogCaptureFixture
) -> None:
    shop = await open_shop(Careless())
    assert await failed(await shop.login("bob")) == (500, "SERVER_ERROR")
    assert "UserStore.authenticate returned no User, but a dict" in caplog.text


class Blocking(People):
    def authenticate(self, *_: Any, **__: Any) -> Any:
        return None


async def test_a_method_that_is_not_async_is_named_in_the_log(
    open_shop: Open, caplog: pytest.LogCaptureFixture
) -> None:
    shop = await open_shop(Blocking())
    assert await failed(await shop.login("bob")) == (500, "SERVER_ERROR")
    assert "write async def authenticate" in caplog.text


def test_a_store_that_lacks_a_method_is_refused_at_once(
    make_settings: Callable[..., Settings],
) -> None:
    with pytest.raises(TypeError, match="needs a method authenticate"):
        Service(make_settings(), users=object())  # type: ignore[arg-type]


# -- Claims ----------------------------------------------------------------------------------------


async def test_claims_of_the_application_are_in_each_new_access_token(
    open_shop: Open, people: People
) -> None:
    async def claims(user: User) -> dict[str, Any]:
        assert isinstance(user, Person)
        return {"email": user.email, "roles": [*user.scopes]}

    shop = await open_shop(people, claims)
    tokens = await shop.sign_in("ada@example.com")
    people.change("UPDATE people SET roles = 'chef', email = 'a' WHERE id = '7'")
    again = await shop.refreshed(tokens["refreshToken"])
    first, second = await shop.claims_of(tokens), await shop.claims_of(again)
    assert first.claims["email"] == "ada@example.com"
    assert (second.claims["email"], second.claims["roles"]) == ("a", ("chef",))
    assert second.claims["sub"] == "7"


async def test_the_hook_gets_the_user_of_the_built_in_table_without_the_password(
    open_shop: Open,
) -> None:
    seen: list[User] = []

    def claims(user: User) -> dict[str, Any]:
        seen.append(user)
        return {"name": user.username}

    shop = await open_shop(None, claims)
    url = shop.settings.database_url
    await rows(url, "UPDATE users SET scopes = 'a b' WHERE username = 'ada'")
    tokens = await shop.sign_in()
    again = await shop.refreshed(tokens["refreshToken"])
    assert (await shop.claims_of(again)).claims["name"] == "ada"
    assert {type(one) for one in seen} == {User}
    assert [(one.username, sorted(one.scopes)) for one in seen] == [("ada", ["a", "b"])] * 2
    await rows(url, "UPDATE users SET scopes = '' WHERE username = 'ada'")


BAD_CLAIMS: dict[str, Any] = {
    "the claim 'sub' is set by the server": {"sub": "root"},
    "the claim 'scope' is set by the server": {"scope": "admin"},
    "the claim 'cnf' is set by the server": {"cnf": {}},
    "JSON cannot express the claim 'when'": {"when": object()},
    "JSON cannot express the claim 'half'": {"half": "\ud800"},
    "JSON cannot express the claim 'nothing'": {"nothing": float("nan")},
    "a claim's name is text, not int": {7: "x"},
    "claims= must return a mapping, not list": ["x"],
    "and at most 4096 are accepted": {"long": "secret" * 700},
}


@pytest.mark.parametrize("said", BAD_CLAIMS)
async def test_claims_that_no_token_can_hold_are_a_fault_that_the_log_names(
    open_shop: Open, people: People, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    given: list[Any] = [{}]
    shop = await open_shop(people, lambda _user: given[0])
    tokens = await shop.sign_in("bob")
    given[0] = BAD_CLAIMS[said]
    assert await failed(await shop.login("bob")) == (500, "SERVER_ERROR")
    assert await failed(await shop.refresh(tokens["refreshToken"])) == (500, "SERVER_ERROR")
    url = shop.settings.database_url
    assert await rows(url, "SELECT counter FROM sessions") == [(0,)]
    assert said in caplog.text
    assert "secret" not in caplog.text


async def test_a_hook_that_fails_ends_nothing(
    open_shop: Open, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)

    def claims(_user: User) -> dict[str, Any]:
        if broken:
            raise KeyError(PASSWORD)
        return {}

    broken = False
    shop = await open_shop(people, claims)
    tokens = await shop.sign_in("bob")
    broken = True
    assert await failed(await shop.refresh(tokens["refreshToken"])) == (503, "UNAVAILABLE")
    assert "the claims= hook failed" in caplog.text
    assert PASSWORD not in caplog.text
    broken = False
    await shop.refreshed(tokens["refreshToken"])
