"""Builds the page: creates the client and the views, with the settings from pyscript.toml."""

from __future__ import annotations

from js import document, pageTranslations
from pyscript import config

from unexpired import AsyncClient
from unexpired.browser import FetchTransport
from views.accounts.change import ChangePassword
from views.accounts.features import Features
from views.accounts.forgotten import Forgotten
from views.accounts.new_password import NewPassword
from views.accounts.sign_up import SignUp
from views.activity.experiment import Runner
from views.activity.experiments import experiments
from views.activity.faults import FaultyClock, FaultyTransport
from views.activity.recorder import Recorder
from views.activity.tabs import Tabs
from views.activity.theft import Theft
from views.activity.trials import Trials
from views.activity.view import Activity
from views.devices.view import Devices
from views.notes.change_queue import ChangeQueue
from views.notes.drafts import Drafts
from views.notes.outbox import Outbox
from views.notes.unsent import send_all
from views.notes.view import Notes
from views.router import Router, View
from views.secret_key import SecretKey
from views.session_banner import SessionBanner
from views.session_status import SessionStatus
from views.sign_in.provider import ProviderSignIn
from views.sign_in.view import SignIn
from views.sign_out import SignOut
from views.ui.i18n import set_translations

HOME = "/notes"
SIGN_IN = "/login"
SIGN_UP = "/sign-up"
FORGOTTEN = "/forgot"
NEW_PASSWORD = "/reset"  # noqa: S105 - a path
KEY = "/secret-key"


async def start() -> None:
    """Start the page."""
    set_translations(pageTranslations.to_py())
    network, clock = FaultyTransport(FetchTransport()), FaultyClock()
    recorder = Recorder(network)
    settings = config.get("unexpired", {})
    storage_key = document.documentElement.dataset.storageKey
    client = AsyncClient.in_browser(
        transport=recorder,
        clock=clock,
        storage_key=storage_key,
        event_hooks=recorder.hooks,
        **settings,
    )
    base_url = str(settings.get("base_url", ""))
    tabs = Tabs(recorder, f"{storage_key}.activity")
    theft = Theft(client, recorder, storage_key=storage_key, base_url=base_url)
    trials = Trials(client, recorder, network, clock, tabs=tabs, lock_name=f"{storage_key}:refresh")
    runner = Runner(client, network, clock)
    in_cookie = settings.get("storage") == "cookie"
    provider = ProviderSignIn(client, storage_key=storage_key, in_cookie=in_cookie)
    sign_in = SignIn(client, provider, home=f"#{HOME}")
    outbox = Outbox(client, storage_key)
    changes = ChangeQueue(client, storage_key, outbox.keep)
    notes = Notes(client, Drafts(storage_key), outbox, changes)
    views: dict[str, View] = {
        SIGN_IN: sign_in,
        HOME: notes,
        "/activity": Activity(client, recorder, tabs, runner, experiments(trials, theft)),
        "/devices": Devices(client),
        "/password": ChangePassword(client),
        SIGN_UP: SignUp(client, home=f"#{HOME}"),
        FORGOTTEN: Forgotten(client),
        NEW_PASSWORD: NewPassword(client, sign_in=f"#{SIGN_IN}?reason=password_replaced"),
        KEY: SecretKey(),
    }
    if client.user is not None and not {"id", "username"} <= client.user.keys():
        await client.sign_out()  # Another program stored a user whom this page cannot show.
    await client.ready()
    Features(
        FetchTransport(),
        base_url,
        on_provider=sign_in.offer_provider,
        on_demo=sign_in.offer_demo,
    ).start()
    SessionBanner(client, sign_in=f"#{SIGN_IN}").start()
    SessionStatus(client).start()
    SignOut(
        client,
        sign_in=f"#{SIGN_IN}",
        send_all=lambda: send_all(outbox, changes, notes.has_draft),
    ).start()
    Router(
        document.getElementById("view"),
        views,
        home=HOME,
        sign_in=SIGN_IN,
        public={SIGN_UP, FORGOTTEN, NEW_PASSWORD, KEY},
        is_signed_in=lambda: client.user is not None,
    ).start()
    document.documentElement.dataset.ready = "true"


# PyScript allows top-level await here. An error ends the start-up, and boot.js shows it.
await start()  # type: ignore[top-level-await]  # noqa: F704, PLE1142
