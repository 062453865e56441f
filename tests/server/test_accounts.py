"""Accounts: create one, change a password, replace a forgotten one."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.server import fuzz
from tests.server.harness import PASSWORD, StartServer, TestServer, add_user, bearer
from tests.server.mailbox import Mailbox, node_with_mail
from tests.server.stores import rows
from tests.support.clock import FakeClock
from unexpired_server import Delivery, Service, Settings, User
from unexpired_server.http.rate_limits import Limit
from unexpired_server.sessions import passwords, reset_tokens
from unexpired_server.sessions.deliveries import Deliveries
from unexpired_server.sessions.passwords import Passwords
from unexpired_server.sessions.reset_tokens import ResetTokens
from unexpired_server.settings import SettingsError
from unexpired_server.storage.database import Database

STORES = ("sqlite", "postgres")
NEW = "staple battery"
OTHER_SECRET = "Zt9-4sJcVq1xW8mR3uY6bN0pK5eH7gLd_aF2iO-TzQs"
SECRET = "b7Yq0xkP3nR8tVw2Zc5hJm9sLd4gFa6uEi1oTyQXrNs"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
async def mailed(
    make_settings: Callable[..., Settings], clock: FakeClock, mailbox: Mailbox
) -> AsyncIterator[TestServer]:
    """A node that delivers links for forgotten passwords."""
    async with node_with_mail(make_settings(), clock, mailbox) as node:
        yield node


async def post(
    node: TestServer, path: str, body: object, headers: dict[str, str] | None = None
) -> httpx.Response:
    """Send JSON in ASCII, which can hold what UTF-8 cannot."""
    headers = {"Content-Type": "application/json", **(headers or {})}
    return await node.http.post(path, content=json.dumps(body), headers=headers)


async def change(
    node: TestServer,
    tokens: dict[str, Any],
    current: str = PASSWORD,
    new: str = NEW,
) -> httpx.Response:
    body = {"currentPassword": current, "newPassword": new}
    return await post(node, "/api/password", body, bearer(tokens["accessToken"]))


async def sign_up(node: TestServer, username: str, password: str = NEW) -> httpx.Response:
    body = {"username": username, "password": password}
    return await post(node, "/api/signup", body)


async def forget(node: TestServer, username: str = "ada") -> httpx.Response:
    return await node.http.post("/api/password/forgot", json={"username": username})


async def reset(node: TestServer, token: object, password: str = NEW) -> httpx.Response:
    body = {"token": token, "newPassword": password}
    return await node.http.post("/api/password/reset", json=body)


async def delivered(node: TestServer, mailbox: Mailbox, username: str = "ada") -> str:
    """Ask for a link, and return its token; no other one was delivered before it."""
    assert (await forget(node, username)).status_code == 204
    letter = await mailbox.next()
    assert letter.user.username == username
    return letter.token


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


async def kinds(node: TestServer) -> list[tuple[str, str | None]]:
    found = await rows(node.settings.database_url, "SELECT kind, cause FROM events ORDER BY id")
    return [(kind, cause) for kind, cause in found]


# -- Change a password -------------------------------------------------------------------------


async def test_changing_the_password_ends_every_other_session_and_this_one_goes_on(
    node: TestServer,
) -> None:
    mine, other, bobs = await node.sign_in(), await node.sign_in(), await node.sign_in("bob")
    assert (await change(node, mine)).status_code == 204
    assert (await node.me(mine["accessToken"])).status_code == 200
    again = await node.refreshed(mine["refreshToken"])
    assert (await node.me(again["accessToken"])).status_code == 200
    assert code_of(await node.me(other["accessToken"])) == (401, "SESSION_REVOKED")
    assert code_of(await node.refresh(other["refreshToken"])) == (401, "SESSION_REVOKED")
    assert (await node.me(bobs["accessToken"])).status_code == 200
    assert (await node.login(password=PASSWORD)).status_code == 401
    assert (await node.login(password=NEW)).status_code == 200


async def test_a_changed_password_leaves_an_event_and_a_cause(node: TestServer) -> None:
    mine, _ = await node.sign_in(), await node.sign_in()
    await change(node, mine)
    assert await kinds(node) == [
        ("sign_in", None),
        ("sign_in", None),
        ("password_changed", None),
        ("session_revoked", "password"),
    ]


async def test_a_wrong_current_password_changes_nothing_and_says_which_password_was_wrong(
    node: TestServer,
) -> None:
    mine, other = await node.sign_in(), await node.sign_in()
    response = await change(node, mine, current="wrong")
    assert code_of(response) == (401, "BAD_CREDENTIALS")
    assert response.json()["error"] == "The current password is not correct."
    assert response.headers["www-authenticate"] == 'Bearer realm="unexpired"'
    assert (await node.me(other["accessToken"])).status_code == 200
    assert (await node.login()).status_code == 200


async def test_wrong_current_passwords_are_limited_together_with_failed_sign_ins(
    start: StartServer,
) -> None:
    node = await start(login_limit="4 per hour")
    mine = await node.sign_in()
    for _ in range(2):
        assert (await node.login(password="wrong")).status_code == 401
        assert (await change(node, mine, current="wrong")).status_code == 401
    limited = await change(node, mine)
    assert code_of(limited) == (429, "RATE_LIMITED")
    assert int(limited.headers["retry-after"]) >= 1
    assert (await node.login()).status_code == 429


@pytest.mark.parametrize("weak", ["", "seven77", "x" * 1025, "tab\tbattery"])
async def test_a_weak_new_password_is_refused_before_the_current_one_is_looked_at(
    node: TestServer, weak: str
) -> None:
    mine = await node.sign_in()
    response = await change(node, mine, current="wrong", new=weak)
    assert code_of(response) == (400, "WEAK_PASSWORD")
    assert response.json()["error"].startswith("A password has ")
    assert await kinds(node) == [("sign_in", None)]


async def test_the_password_may_be_changed_to_itself_which_ends_the_other_sessions(
    node: TestServer,
) -> None:
    mine, other = await node.sign_in(), await node.sign_in()
    assert (await change(node, mine, new=PASSWORD)).status_code == 204
    assert (await node.me(other["accessToken"])).status_code == 401
    assert (await node.me(mine["accessToken"])).status_code == 200


async def test_changing_the_password_needs_a_session(node: TestServer) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert code_of(await node.http.post("/api/password", json=body)) == (401, "NO_TOKEN")


async def test_of_two_changes_at_once_one_succeeds(node: TestServer) -> None:
    first, second = await node.sign_in(), await node.sign_in()
    responses = await asyncio.gather(change(node, first), change(node, second, new="other " + NEW))
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [204, 401]


async def test_a_user_who_is_disabled_meanwhile_changes_nothing(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = await node.sign_in()
    hash_new = Passwords.hash_new

    async def disabled_meanwhile(self: Passwords, password: str) -> str:
        users = node.app.state.service.users
        await node.app.state.service.sessions.disable(await users.find("ada"))
        return await hash_new(self, password)

    monkeypatch.setattr(Passwords, "hash_new", disabled_meanwhile)
    assert (await change(node, mine)).status_code == 401
    assert ("password_changed", None) not in await kinds(node)


# -- Create an account -------------------------------------------------------------------------


@pytest.fixture
async def open_node(start: StartServer) -> TestServer:
    """A node on which people may create accounts."""
    return await start(signup=True)


async def test_a_sign_up_signs_in(open_node: TestServer) -> None:
    response = await sign_up(open_node, "Carol")
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    tokens = response.json()
    assert tokens["user"]["username"] == "carol"
    me = (await open_node.me(tokens["accessToken"])).json()
    assert me["id"] == tokens["user"]["id"]
    assert (await open_node.refresh(tokens["refreshToken"])).status_code == 200
    assert (await open_node.login("carol", NEW)).status_code == 200
    assert (await kinds(open_node))[:2] == [("sign_up", None), ("sign_in", None)]


@pytest.mark.parametrize("name", ["ada", "Ada", " ada ", "\uff41da"])
async def test_a_name_that_is_taken_in_any_spelling_is_refused(
    open_node: TestServer, name: str
) -> None:
    assert code_of(await sign_up(open_node, name)) == (409, "USERNAME_TAKEN")
    assert (await open_node.login()).status_code == 200


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 65, "\u0430da", "a\u0000"])
async def test_a_name_that_nobody_may_have_is_refused_with_a_sentence(
    open_node: TestServer, name: str
) -> None:
    response = await sign_up(open_node, name)
    assert code_of(response) == (400, "INVALID_USERNAME")
    assert "username" in response.json()["error"]


async def test_a_weak_password_is_refused_at_sign_up(open_node: TestServer) -> None:
    assert code_of(await sign_up(open_node, "carol", "short")) == (400, "WEAK_PASSWORD")
    assert (await sign_up(open_node, "carol")).status_code == 201


async def test_a_taken_name_costs_as_many_hashes_as_a_free_one(
    open_node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    original = Passwords.hash

    def counting(self: Passwords, password: str) -> str:
        hashed.append(password)
        return original(self, password)

    monkeypatch.setattr(Passwords, "hash", counting)
    await sign_up(open_node, "ada")
    await sign_up(open_node, "carol")
    assert hashed == [NEW, NEW]


async def test_sign_ups_are_limited_by_address_whether_the_name_is_taken_or_not(
    start: StartServer,
) -> None:
    node = await start(signup=True, signup_limit="3 per hour")
    assert (await sign_up(node, "carol")).status_code == 201
    assert (await sign_up(node, "ada")).status_code == 409
    assert (await sign_up(node, "dora", "short")).status_code == 400  # Not counted.
    assert (await sign_up(node, "dora")).status_code == 201
    assert code_of(await sign_up(node, "emma")) == (429, "RATE_LIMITED")
    assert (await node.login("emma", NEW)).status_code == 401


async def test_sign_ups_at_once_do_not_pass_the_limit(start: StartServer) -> None:
    node = await start(signup=True, signup_limit="3 per hour")
    responses = await asyncio.gather(*(sign_up(node, f"user{i}") for i in range(8)))
    assert sorted(one.status_code for one in responses) == [201] * 3 + [429] * 5


async def test_sign_ups_wait_in_the_queue_of_passwords(
    open_node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MAX_QUEUE", 0)
    responses = await asyncio.gather(*(sign_up(open_node, f"user{i}") for i in range(10)))
    assert {response.status_code for response in responses} == {201, 503}


async def test_of_two_sign_ups_with_one_name_at_once_one_succeeds(open_node: TestServer) -> None:
    responses = await asyncio.gather(*(sign_up(open_node, "carol") for _ in range(2)))
    assert sorted(response.status_code for response in responses) == [201, 409]


async def test_without_the_setting_nobody_can_create_an_account(node: TestServer) -> None:
    assert code_of(await sign_up(node, "carol")) == (404, "NOT_FOUND")


# -- Replace a forgotten password --------------------------------------------------------------


async def test_a_forgotten_password_is_replaced_and_every_session_ends(
    mailed: TestServer, mailbox: Mailbox
) -> None:
    old = await mailed.sign_in()
    assert (await forget(mailed, "Ada ")).status_code == 204
    letter = await mailbox.next()
    assert letter.user.username == "ada"
    assert letter.expires_in == reset_tokens.LIFETIME
    assert letter.token not in repr(letter)
    assert (await reset(mailed, letter.token)).status_code == 204
    assert code_of(await mailed.me(old["accessToken"])) == (401, "SESSION_REVOKED")
    assert (await mailed.login(password=PASSWORD)).status_code == 401
    assert (await mailed.login(password=NEW)).status_code == 200
    assert (await kinds(mailed))[1:3] == [("password_reset", None), ("session_revoked", "password")]


async def test_a_hook_that_is_not_async_is_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    deliveries = Deliveries(lambda _: None)  # type: ignore[arg-type,return-value]
    await deliveries.start(lambda: Delivery(User("7"), "pr1.token", 1800))
    await deliveries.close()
    assert "write async def" in caplog.text
    assert "could not be delivered" not in caplog.text


async def test_a_link_works_once(mailed: TestServer, mailbox: Mailbox) -> None:
    first, second = await delivered(mailed, mailbox), await delivered(mailed, mailbox)
    assert (await reset(mailed, first)).status_code == 204
    for token in (first, second):
        assert code_of(await reset(mailed, token, "other " + NEW)) == (400, "RESET_INVALID")
    assert (await mailed.login(password=NEW)).status_code == 200


async def test_of_two_uses_of_a_link_at_once_one_succeeds(
    mailed: TestServer, mailbox: Mailbox
) -> None:
    token = await delivered(mailed, mailbox)
    responses = await asyncio.gather(*(reset(mailed, token, f"{NEW} {i}") for i in range(3)))
    assert sorted(response.status_code for response in responses) == [204, 400, 400]


async def test_a_link_ends_with_any_change_of_the_password(
    mailed: TestServer, mailbox: Mailbox
) -> None:
    token = await delivered(mailed, mailbox)
    await change(mailed, await mailed.sign_in(), new=PASSWORD)
    assert code_of(await reset(mailed, token)) == (400, "RESET_INVALID")


async def test_a_link_ends_after_half_an_hour(mailed: TestServer, mailbox: Mailbox) -> None:
    token = await delivered(mailed, mailbox)
    mailed.clock.advance(reset_tokens.LIFETIME)
    assert code_of(await reset(mailed, token)) == (400, "RESET_INVALID")
    token = await delivered(mailed, mailbox)
    mailed.clock.advance(reset_tokens.LIFETIME - 1)
    assert (await reset(mailed, token)).status_code == 204


async def test_a_weak_password_does_not_use_up_a_link(mailed: TestServer, mailbox: Mailbox) -> None:
    token = await delivered(mailed, mailbox)
    assert code_of(await reset(mailed, token, "short")) == (400, "WEAK_PASSWORD")
    assert (await reset(mailed, token)).status_code == 204


async def test_damaged_and_foreign_tokens_get_one_response(
    mailed: TestServer, mailbox: Mailbox
) -> None:
    token = await delivered(mailed, mailbox)
    last = "A" if token[-1] != "A" else "Q"
    tokens = await mailed.sign_in()
    foreign = ["", "pr1.", "x", token[:-1] + last, token + "A", token.upper(), "pr1." + "A" * 107]
    foreign += [tokens["refreshToken"], "pr1." + tokens["refreshToken"][4:], tokens["accessToken"]]
    responses = [await reset(mailed, one) for one in foreign]
    assert {response.content for response in responses} == {responses[0].content}
    assert code_of(responses[0]) == (400, "RESET_INVALID")
    assert (await mailed.refresh("rt1." + token[4:])).json()["code"] == "REFRESH_INVALID"


async def test_a_disabled_user_gets_no_link_and_can_use_none(
    mailed: TestServer, mailbox: Mailbox
) -> None:
    token = await delivered(mailed, mailbox)
    service = mailed.app.state.service
    await service.sessions.disable(await service.users.find("ada"))
    assert code_of(await reset(mailed, token)) == (400, "RESET_INVALID")
    assert (await forget(mailed)).status_code == 204
    await delivered(mailed, mailbox, "bob")
    assert mailbox.is_empty


async def test_unknown_names_and_known_ones_get_the_same_response(
    mailed: TestServer, mailbox: Mailbox
) -> None:
    known, unknown = await forget(mailed), await forget(mailed, "nobody")
    assert known.status_code == unknown.status_code == 204
    assert known.headers.keys() == unknown.headers.keys()
    assert known.content == unknown.content == b""
    await mailbox.next()
    assert mailbox.is_empty


async def test_an_unknown_name_costs_as_many_queries_and_counts_as_a_known_one(
    mailed: TestServer, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the response: the letter is written afterwards."""
    costs: list[str] = []
    request = asyncio.current_task()

    def counting(kind: type, name: str) -> None:
        original = getattr(kind, name)

        async def counted(self: object, *args: object, **options: object) -> object:
            if asyncio.current_task() is request:
                costs.append(name)
            return await original(self, *args, **options)

        monkeypatch.setattr(kind, name, counted)

    counting(Database, "run")
    counting(Limit, "count")
    written: list[object] = []

    def write(_self: ResetTokens, *args: object) -> str:
        written.append(args)
        return "pr1."

    monkeypatch.setattr(ResetTokens, "write", write)
    release = hold_deliveries(monkeypatch)
    await forget(mailed, "nobody")
    unknown = costs.copy()
    costs.clear()
    await forget(mailed, "ada")
    assert costs == unknown == ["count", "count", "run"]
    assert not written
    release()
    await mailbox.next()
    assert written


def hold_deliveries(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no delivery begin until the returned function is called."""
    released = asyncio.Event()
    send = Deliveries._send  # noqa: SLF001 - what runs in the background

    async def held(self: Deliveries, *args: Any) -> None:
        await released.wait()
        await send(self, *args)

    monkeypatch.setattr(Deliveries, "_send", held)
    return released.set


async def test_the_response_does_not_wait_for_the_delivery(
    make_settings: Callable[..., Settings], clock: FakeClock, mailbox: Mailbox
) -> None:
    release = asyncio.Event()
    deliver = mailbox.deliver

    async def slow(delivery: Any) -> None:
        await release.wait()
        await deliver(delivery)

    mailbox.deliver = slow  # type: ignore[method-assign]
    async with node_with_mail(make_settings(), clock, mailbox) as node:
        assert (await forget(node)).status_code == 204
        assert mailbox.is_empty
        release.set()
        await mailbox.next()


async def test_a_failed_delivery_is_logged_without_the_token(
    mailed: TestServer, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    class MailError(Exception):
        """Quotes the letter, as mail libraries do."""

    mailbox.failure = MailError("a letter with pr1.secret")
    with caplog.at_level(logging.DEBUG):
        token = await delivered(mailed, mailbox)
        async with asyncio.timeout(5):
            while "MailError" not in caplog.text:
                await asyncio.sleep(0)
    assert "pr1." not in caplog.text
    assert token not in caplog.text


async def test_an_account_is_sent_only_so_many_links_and_the_response_stays_the_same(
    make_settings: Callable[..., Settings], clock: FakeClock, mailbox: Mailbox
) -> None:
    async with node_with_mail(make_settings(forgot_limit="2 per hour"), clock, mailbox) as node:
        for name in ("ada", "Ada", "ADA"):
            assert (await forget(node, name)).status_code == 204
        for _ in range(2):
            assert (await mailbox.next()).user.username == "ada"
        await delivered(node, mailbox, "bob")
        assert mailbox.is_empty


async def test_an_address_may_send_only_so_many_requests_and_bad_links(
    make_settings: Callable[..., Settings], clock: FakeClock, mailbox: Mailbox
) -> None:
    async with node_with_mail(make_settings(address_limit="2 per hour"), clock, mailbox) as node:
        token = await delivered(node, mailbox)
        for i in range(2):
            assert (await reset(node, f"pr1.{i}")).status_code == 400
        assert code_of(await reset(node, "pr1.")) == (429, "RATE_LIMITED")
        assert (await forget(node, "nobody")).status_code == 204
        assert code_of(await forget(node, "bob")) == (429, "RATE_LIMITED")
        assert (await reset(node, token)).status_code == 204  # A good one is never limited.


async def test_a_link_works_on_another_node_and_after_the_secret_was_replaced(
    make_settings: Callable[..., Settings], clock: FakeClock, mailbox: Mailbox
) -> None:
    before = make_settings(secret=SECRET)
    after = make_settings(secret=OTHER_SECRET, previous_secrets=(SECRET,))
    alien = make_settings(secret=OTHER_SECRET)
    async with (
        node_with_mail(before, clock, mailbox) as here,
        node_with_mail(after, clock, mailbox) as there,
        node_with_mail(alien, clock, mailbox) as elsewhere,
    ):
        token = await delivered(here, mailbox)
        assert code_of(await reset(elsewhere, token)) == (400, "RESET_INVALID")
        assert (await reset(there, token)).status_code == 204
        assert (await here.login(password=NEW)).status_code == 200


async def test_without_a_hook_there_is_no_way_to_replace_a_forgotten_password(
    node: TestServer,
) -> None:
    assert code_of(await forget(node)) == (404, "NOT_FOUND")
    assert code_of(await reset(node, "pr1.")) == (404, "NOT_FOUND")


# -- Bad requests ------------------------------------------------------------------------------


async def test_bad_requests_to_any_of_these_calls_get_no_5xx(
    make_settings: Callable[..., Settings], clock: FakeClock, mailbox: Mailbox
) -> None:
    settings = make_settings(signup=True, signup_limit="", address_limit="")
    async with node_with_mail(settings, clock, mailbox) as node:
        statuses = await fuzz.run(node, 1500, seed=3)
    assert {201, 204, 400, 401, 409} <= statuses.keys()


# -- What a page can know ----------------------------------------------------------------------


async def test_features_say_which_calls_there_are(
    open_node: TestServer, mailed: TestServer
) -> None:
    everywhere = {"passwordChange": True}
    open_to_all = (await open_node.http.get("/api/features")).json()
    assert open_to_all == {**everywhere, "signUp": True, "passwordReset": False}
    with_mail = (await mailed.http.get("/api/features")).json()
    assert with_mail == {**everywhere, "signUp": False, "passwordReset": True}


async def test_the_openapi_document_has_only_the_calls_that_exist(
    open_node: TestServer, mailed: TestServer
) -> None:
    open_to_all = (await open_node.http.get("/openapi.json")).json()["paths"]
    assert "/api/signup" in open_to_all
    assert "/api/password/forgot" not in open_to_all
    with_mail = (await mailed.http.get("/openapi.json")).json()["paths"]
    assert "/api/signup" not in with_mail
    assert {"/api/password", "/api/password/forgot", "/api/password/reset"} <= with_mail.keys()


async def test_a_password_with_odd_spaces_that_is_changed_still_signs_in(node: TestServer) -> None:
    await add_user(node.settings, "zoe", "caf\u00e9 caf\u00e9")
    mine = (await node.login("zoe", "cafe\u0301\u00a0cafe\u0301")).json()
    changed = await change(node, mine, "caf\u00e9\u2003caf\u00e9", "na\u00efve\u00a0na\u00efve")
    assert changed.status_code == 204
    assert (await node.login("zoe", "nai\u0308ve nai\u0308ve")).status_code == 200


class OwnUsers:
    """An application's own users, of whom there are none."""

    async def authenticate(self, username: str, password: str, **fields: Any) -> User | None:
        """Return nobody."""
        del username, password, fields
        return None

    async def find(self, user_id: str) -> User | None:
        """Return nobody."""
        del user_id
        return None


async def test_an_application_with_its_own_users_has_none_of_these_calls(
    make_settings: Callable[..., Settings],
) -> None:
    service = Service(make_settings(), users=OwnUsers())
    paths = {route.path for route in service.routes()}
    assert not {path for path in paths if "password" in path or "signup" in path}
    assert "/api/features" not in paths
    assert {one.path for one in service.operations()} <= paths


def test_sign_up_and_deliver_are_refused_beside_users_of_ones_own(
    make_settings: Callable[..., Settings], mailbox: Mailbox
) -> None:
    with pytest.raises(SettingsError, match="signup and the argument deliver"):
        Service(make_settings(signup=True), users=OwnUsers())
    with pytest.raises(SettingsError, match="signup and the argument deliver"):
        Service(make_settings(), users=OwnUsers(), deliver=mailbox.deliver)
