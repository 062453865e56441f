"""The shop of examples/: a FastAPI application on the wheels, used in a browser across expiries."""

from __future__ import annotations

import json
import re
import struct
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from build_example import build
from build_wheels import build_server
from tests.e2e.conftest import TIMEOUT_MS
from tests.e2e.watch import Watch
from tests.support.shop_process import ShopProcess
from tests.tools.distributions import install

START_MS = 120_000
"""Python starts without a snapshot here, which takes long on a busy machine."""
PASSWORD = "a good long password"
NOTE_SOCKETS = """
window.openedSockets = [];
window.WebSocket = class extends WebSocket {
    constructor(...address) {
        super(...address);
        openedSockets.push(this);
        this.addEventListener("close", (event) => { this.closedWith = event.code; });
    }
};
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels, and nothing else."""
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    build_server(wheels)
    install(wheels, folder)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Iterator[ShopProcess]:
    """The shop, whose access tokens live 3 seconds; the first account is Olga's, who runs it."""
    folder = tmp_path_factory.mktemp("shop")
    build("shop", folder / "page")
    process = ShopProcess(folder, installed, folder / "page", access_ttl=3, leeway=0).start()
    body = json.dumps({"username": "olga", "password": PASSWORD}).encode()
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{process.url}/api/people", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:  # noqa: S310
        assert response.status == 201
    yield process
    process.stop()


class Shopper:
    """A person in the shop, in a browser context of their own."""

    def __init__(self, page: Page, watch: Watch) -> None:
        self.page = page
        self.watch = watch
        self.name = f"person-{uuid4().hex[:8]}"
        self.account = page.get_by_role("status", name="Account")
        self.problem = page.get_by_role("alert")
        page.add_init_script(NOTE_SOCKETS)

    def opens(self) -> Shopper:
        """Open the page, and wait until Python runs."""
        self.page.goto("/")
        expect(self.page.locator("html")).to_have_attribute("data-ready", "true", timeout=START_MS)
        return self

    def enters(self, button: str, name: str = "") -> Shopper:
        """Fill in the form and press one of its buttons."""
        self.name = name or self.name
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name=button).click()
        expect(self.account).to_contain_text(f"Signed in as {self.name}")
        return self

    def outlives(self, expiries: int = 2) -> None:
        """Wait until the session was refreshed a few more times."""
        for _ in range(expiries):
            with self.page.expect_response("**/api/refresh", timeout=TIMEOUT_MS) as refresh:
                pass
            assert refresh.value.status == 200

    def sockets(self) -> list[int]:
        """Return the state of each WebSocket that the page has opened: 1 is open, 3 is closed."""
        states: list[int] = self.page.evaluate("openedSockets.map(socket => socket.readyState)")
        return states

    def product(self, name: str) -> Locator:
        """Return an item of the teas."""
        return (
            self.page.get_by_role("list", name="Teas").get_by_role("listitem").filter(has_text=name)
        )

    def stock(self, name: str) -> int:
        """Return how many there are of a product."""
        text = self.product(name).locator(".stock").text_content() or ""
        return int(text.split()[0])


@pytest.fixture
def shopper(browser: Browser, shop: ShopProcess) -> Iterator[Callable[[], Shopper]]:
    """Let a person in; each page is watched, and must not complain."""
    watches: list[Watch] = []

    def factory() -> Shopper:
        context = browser.new_context(base_url=shop.url)
        context.set_default_timeout(TIMEOUT_MS)
        watch = Watch(context, shop.url)
        watch.__enter__()
        watch.admit(shop.url.replace("http", "ws"))
        watches.append(watch)
        return Shopper(context.new_page(), watch).opens()

    yield factory
    for watch in watches:
        watch.__exit__()
        watch.context.close()
    for watch in watches:
        watch.verify()


def test_the_shop_runs_on_the_wheels(shop: ShopProcess, installed: Path) -> None:
    """It imports nothing from this clone."""
    for module in ("unexpired", "unexpired_server"):
        assert shop.imports(module).is_relative_to(installed)


def test_a_visitor_sees_the_teas_and_is_not_asked_to_sign_in(
    shopper: Callable[[], Shopper],
) -> None:
    """The call is public: no token, no redirect."""
    visitor = shopper()
    expect(visitor.product("Assam")).to_contain_text("6.40 €")
    (call,) = visitor.watch.calls("GET /api/teas")
    assert "authorization" not in call.headers
    expect(visitor.page).to_have_url(re.compile(r"^http://127\.0\.0\.1:\d+/$"))
    expect(visitor.page.get_by_role("button", name="Create account")).to_be_visible()


def test_a_sign_up_is_a_session_that_outlives_its_tokens_and_a_reload(
    shopper: Callable[[], Shopper],
) -> None:
    """The shop's own route issues the tokens, and the page adopts them."""
    person = shopper().enters("Create account")
    person.outlives()
    person.opens()
    expect(person.account).to_have_text(f"Signed in as {person.name} (customer)")
    assert person.watch.count("POST /api/login") == 0


def test_a_taken_name_is_said_in_the_shops_own_words(shopper: Callable[[], Shopper]) -> None:
    """FastAPI's own errors stay FastAPI's."""
    visitor = shopper()
    visitor.page.get_by_label("Username").fill("olga")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Create account").click()
    expect(visitor.problem).to_have_text("Somebody has this name already.")


def test_an_order_shows_in_everybodys_list_across_expiries(
    shopper: Callable[[], Shopper],
) -> None:
    """The feed reconnects with a fresh token, and misses nothing."""
    olga, person = shopper().enters("Sign in", "olga"), shopper().enters("Create account")
    olga.outlives()
    left = olga.stock("Sencha")
    person.product("Sencha").get_by_role("button", name="Order").click()
    for each in (olga, person):
        expect(each.product("Sencha").locator(".stock")).to_have_text(f"{left - 1} left")
    expect(person.page.get_by_role("list", name="My orders")).to_contain_text("Sencha, 7.20 €")
    feeds = olga.watch.calls("GET /api/feed")
    assert len({call.headers["authorization"] for call in feeds}) > 1
    assert not [one for one in olga.watch.answers if one.path == "/api/feed" and one.status != 200]


def test_a_chat_stays_open_while_its_token_is_renewed(shopper: Callable[[], Shopper]) -> None:
    """One WebSocket for each person, and no message is lost."""
    olga, person = shopper().enters("Sign in", "olga"), shopper().enters("Create account")
    for each in (olga, person):
        expect(each.page.get_by_role("status", name="Chat")).to_have_text("connected")
    person.outlives()
    text = f"hello {uuid4()}"
    person.page.get_by_label("Message").fill(text)
    person.page.get_by_role("button", name="Send").click()
    for each in (olga, person):
        chat = each.page.get_by_role("list", name="Chat")
        expect(chat).to_contain_text(f"{person.name}: {text}")
        assert each.sockets() == [1]


def test_the_staff_uploads_a_picture_that_everybody_sees(
    shopper: Callable[[], Shopper],
) -> None:
    """The form file is sent with its progress, by a role that only the staff has."""
    olga, visitor = shopper().enters("Sign in", "olga"), shopper().enters("Create account")
    expect(visitor.product("Assam").get_by_label("Picture")).to_be_hidden()
    olga.outlives(1)
    olga.product("Assam").get_by_label("Picture").set_input_files(
        {"name": "assam.png", "mimeType": "image/png", "buffer": png(300, 300)}
    )
    for each in (olga, visitor):
        picture = each.product("Assam").locator("img")
        expect(picture).to_be_visible()
        expect(picture).to_have_js_property("naturalWidth", 300)


def test_a_new_role_takes_effect_at_the_next_refresh(shopper: Callable[[], Shopper]) -> None:
    """Nobody signs in again."""
    olga, person = shopper().enters("Sign in", "olga"), shopper().enters("Create account")
    olga.page.get_by_label("Name", exact=True).fill(person.name)
    olga.page.get_by_label("Role").select_option("staff")
    olga.page.get_by_role("button", name="Give role").click()
    expect(person.account).to_have_text(f"Signed in as {person.name} (staff)")
    expect(person.product("Assam").get_by_label("Picture")).to_be_visible()
    assert person.watch.count("POST /api/login") == 0


def test_what_a_customer_may_not_do_is_forbidden_and_ends_nothing(
    shopper: Callable[[], Shopper], shop: ShopProcess
) -> None:
    """The response is 403 FORBIDDEN, with the scope in its challenge."""
    person = shopper()
    with person.page.expect_request("**/api/orders") as call:
        person.enters("Create account")
    token = call.value.headers["authorization"]
    response = person.page.request.put(
        f"{shop.url}/api/people/olga/role?role=customer", headers={"Authorization": token}
    )
    assert (response.status, response.json()["code"]) == (403, "FORBIDDEN")
    assert 'scope="people:write"' in response.headers["www-authenticate"]


def test_a_download_is_streamed_after_an_expiry(shopper: Callable[[], Shopper]) -> None:
    """The lines of the file are counted as they come."""
    person = shopper().enters("Create account")
    order = person.product("Sencha").get_by_role("button", name="Order")
    for count in (1, 2):
        order.click()
        expect(
            person.page.get_by_role("list", name="My orders").get_by_role("listitem")
        ).to_have_count(count)
    person.outlives(1)
    person.page.get_by_role("button", name="Count them all").click()
    expect(person.page.locator("#downloaded")).to_have_text("2 orders")


def test_signing_out_closes_what_was_open(shopper: Callable[[], Shopper]) -> None:
    """The teas stays, the chat and the feed end."""
    person = shopper().enters("Create account")
    expect(person.page.get_by_role("status", name="Chat")).to_have_text("connected")
    person.page.get_by_role("button", name="Sign out").click()
    person.page.wait_for_function("openedSockets[0].closedWith")
    closed_with = person.page.evaluate("openedSockets.map(socket => socket.closedWith)")
    assert closed_with == [1005]  # By the page, without a code: before the server would close it.
    expect(person.account).to_have_text("You are not signed in")
    expect(person.product("Assam")).to_be_visible()


def png(width: int, height: int) -> bytes:
    """Return a picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        content = kind + data
        return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))

    rows = (b"\x00" + b"\x2a\x8a\x5f" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
