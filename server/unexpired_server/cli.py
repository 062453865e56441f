"""The command line."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from unexpired_server.app import create_app
from unexpired_server.errors import Unavailable
from unexpired_server.http.responses import iso
from unexpired_server.ops.serve import Build
from unexpired_server.ops.serve import serve as run_server
from unexpired_server.service import DEMO_NAME, longest_life, policy_of, prepare
from unexpired_server.sessions.passwords import MAXIMUM_LENGTH, MINIMUM_LENGTH, Passwords
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.users import User, UserExistsError, Users
from unexpired_server.settings import Settings, SettingsError, load_settings
from unexpired_server.storage.database import Database
from unexpired_server.tokens import key_file
from unexpired_server.tokens.key_file import ACTIVATION_DELAY, KeyEntry, KeyFile, new_secret
from unexpired_server.tokens.keys import load_ring


class Problem(click.ClickException):
    """One readable sentence, and the exit code of a wrong invocation."""

    exit_code = 2


def readable(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a problem with the settings into one sentence; it needs no traceback."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except SettingsError as exc:
            raise Problem(str(exc)) from None

    return wrapper


Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def flag(name: str, what: str) -> Decorator:
    """A flag that carries a setting's text as it is: the settings check it."""
    return click.option(name, help=what)


keys_flag: Decorator = flag("--keys-file", "Where the signing keys are kept (data/keys.json).")
database_flag: Decorator = flag("--database-url", "Where users and sessions are kept.")


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Unexpired: keep a web app signed in. Without a command, serve.

    \b
    Try it:          python -m server serve --demo
    Add a person:    python -m server user add ada
    For many nodes:  export UNEXPIRED_DATABASE_URL=postgresql://app@db/unexpired
                     python -m server migrate
                     python -m server serve --host 0.0.0.0 --workers 4
    A new key:       python -m server key rotate

    Every setting is a variable UNEXPIRED_<NAME>; flags win over variables. Commands exit with
    0, or with 2 and one sentence that says what is wrong.
    """  # noqa: D301 - click looks for the backspace itself
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
@flag("--host", "The address to listen on (127.0.0.1).")
@flag("--port", "The port to listen on (8000).")
@flag("--database-url", "Where users and sessions are kept (a file under data/).")
@flag("--keys-file", "Where the signing keys are kept (data/keys.json).")
@flag("--algorithm", "What signs access tokens: HS256, EdDSA or ES256 (HS256).")
@flag("--access-ttl", "Seconds that an access token lives (900).")
@flag("--refresh-idle-ttl", "Seconds that a session lives without a refresh (604800).")
@flag("--refresh-absolute-ttl", "Seconds that a session lives at all (2592000).")
@flag("--refresh-grace", "Seconds that a used refresh token may be repeated (30).")
@flag("--leeway", "Seconds of clock tolerance (60).")
@flag("--cors-origins", "Other origins that may call, separated by commas.")
@flag("--trusted-proxies", "Networks whose X-Forwarded-For is believed, separated by commas.")
@flag("--rate-limit-url", "A Redis that several nodes count tries in (each node's memory).")
@flag("--workers", "How many processes serve (1).")
@flag("--page-dir", "The folder with the page, such as dist (this project's).")
@click.option("--refresh/--no-refresh", default=None, help="Whether there are refresh tokens.")
@click.option("--rotation/--no-rotation", default=None, help="Whether a refresh replaces them.")
@click.option("--demo", is_flag=True, default=None, help="User demo / demo, tokens of 20 s.")
@click.pass_obj
@readable
def serve(build: Build | None, **flags: str | bool | None) -> None:
    """Serve the API, and a page where there is one."""
    settings = load_settings(**flags)
    hint = f"  sign in as {DEMO_NAME} / {DEMO_NAME}" if settings.demo else ""
    load_ring(settings)
    _with_data(settings, _nothing)
    run_server(settings, build or create_app, lambda url: click.echo(f"{url}{hint}"))


@main.command()
def secret() -> None:
    """Print a fresh signing key for UNEXPIRED_SECRET."""
    click.echo(new_secret())


@main.command("migrate")
@database_flag
@readable
def migrate_database(database_url: str | None) -> None:
    """Bring the database's tables up to date.

    A SQLite file is brought up to date whenever the server starts; PostgreSQL only by this, so
    that nodes of two versions never change the tables under each other.
    """
    settings = load_settings(database_url=database_url)

    async def run() -> None:
        database = Database(settings.database_url)
        try:
            await database.migrate()
        finally:
            await database.close()

    _run(run())
    click.echo("The tables are up to date.")


@main.group()
def key() -> None:
    """Rotate, list and retire signing keys; nodes notice."""


@key.command()
@flag("--algorithm", "What the new key signs with: HS256, EdDSA or ES256.")
@click.option(
    "--after",
    type=click.FloatRange(min=ACTIVATION_DELAY),
    default=ACTIVATION_DELAY,
    show_default=True,
    help="Seconds until it signs; more where the file takes longer to reach every node.",
)
@keys_flag
@readable
def rotate(algorithm: str | None, after: float, keys_file: str | None) -> None:
    """Make a new key, which signs as soon as every node knows it; the old ones verify on."""
    settings = load_settings(algorithm=algorithm, keys_file=keys_file)
    if not settings.keys_file.exists():
        load_ring(settings)
    entry = key_file.rotate(settings.keys_file, settings.algorithm, time.time() + after)
    click.echo(f"{entry.kid}  {entry.alg}  signs in {after:g} s")


@key.command("list")
@keys_flag
@readable
def list_keys(keys_file: str | None) -> None:
    """List the keys, and what each does; never the keys themselves."""
    settings, now = load_settings(keys_file=keys_file), time.time()
    file = key_file.read(settings.keys_file)
    for one in file.keys:
        click.echo(f"{one.kid}  {one.alg}  {one.created}  {_doing(file, one, settings, now)}")


@key.command()
@click.argument("kid")
@click.option("--now", "at_once", is_flag=True, help="Even if tokens that it signed still live.")
@keys_flag
@readable
def retire(kid: str, keys_file: str | None, *, at_once: bool) -> None:
    """Take the key KID out, once the last token that it signed has died."""
    settings, now = load_settings(keys_file=keys_file), time.time()
    file = key_file.read(settings.keys_file)
    until = _last_death(file, kid, settings, now)
    if until is not None and until > now and not at_once:
        raise Problem(f"Tokens that {kid} signed live until {iso(int(until))}; or use --now.")
    key_file.retire(settings.keys_file, kid, now)
    click.echo(f"Retired {kid}.")


def _doing(file: KeyFile, one: KeyEntry, settings: Settings, now: float) -> str:
    if one.kid == file.signing(now):
        return "signs"
    until = _last_death(file, one.kid, settings, now)
    if until is None:
        return f"will sign from {iso(int(one.signs_from or 0))}"
    return f"verifies until {iso(int(until))}" if until > now else "can be retired"


def _last_death(file: KeyFile, kid: str, settings: Settings, now: float) -> float | None:
    """When the last token that a key signed dies; None when it signs now or will."""
    stopped = file.stopped_at(kid, now) if kid in {one.kid for one in file.keys} else None
    return None if stopped is None else stopped + longest_life(settings)


@main.group()
def user() -> None:
    """Add users, change their passwords, disable them."""


@user.command()
@click.argument("name")
@database_flag
@readable
def add(name: str, database_url: str | None) -> None:
    """Add the user NAME; the password is asked for, or is one line of standard input."""
    if not 0 < len(name) <= 64 or not name.isprintable():  # noqa: PLR2004 - the column's width
        raise Problem("A username has 1 to 64 printable characters.")
    password = _new_password()

    async def work(data: Data) -> None:
        await data.users.add(name, data.passwords.hash(password), data.now)

    try:
        _with_data(load_settings(database_url=database_url), work)
    except UserExistsError:
        raise Problem(f"There is already a user {name}.") from None
    click.echo(f"Added {name}.")


@user.command()
@click.argument("name")
@database_flag
@readable
def passwd(name: str, database_url: str | None) -> None:
    """Give the user NAME a new password, and end the sessions of the old one."""
    password = _new_password()

    async def work(data: Data) -> None:
        who = await data.user(name)
        await data.store.set_password(who, data.passwords.hash(password), data.now)

    _with_data(load_settings(database_url=database_url), work)
    click.echo(f"Changed the password of {name} and ended all sessions.")


@user.command()
@click.argument("name")
@database_flag
@readable
def disable(name: str, database_url: str | None) -> None:
    """Keep the user NAME from signing in, and end all sessions at once."""

    async def work(data: Data) -> None:
        await data.store.disable(await data.user(name), data.now)

    _with_data(load_settings(database_url=database_url), work)
    click.echo(f"Disabled {name} and ended all sessions.")


@main.group()
def session() -> None:
    """List and revoke sessions."""


@session.command("list")
@click.argument("name", required=False)
@database_flag
@readable
def list_sessions(name: str | None, database_url: str | None) -> None:
    """List the live sessions, of the user NAME only when given."""

    async def work(data: Data) -> None:
        user_id = (await data.user(name)).id if name else None
        for device in await data.store.live(data.now, user_id):
            one = device.session
            whose = await data.users.username_of(one.user_id)
            click.echo(f"{one.id}  {iso(int(one.refreshed_at))}  {whose}  {device.name}")

    _with_data(load_settings(database_url=database_url), work)


@session.command()
@click.argument("session_id")
@database_flag
@readable
def revoke(session_id: str, database_url: str | None) -> None:
    """Revoke one session; its access tokens are refused within seconds."""

    async def work(data: Data) -> None:
        if not await data.store.revoke(session_id, data.now):
            raise Problem("There is no live session with this id.")

    _with_data(load_settings(database_url=database_url), work)
    click.echo("Revoked.")


@dataclass(frozen=True)
class Data:
    """What the commands work on; `now` in Unix seconds."""

    users: Users
    store: Store
    passwords: Passwords
    now: float

    async def user(self, name: str) -> User:
        """The user of this name.

        Raises:
            Problem: There is none.
        """
        found = await self.users.find(name)
        if found is None:
            raise Problem(f"There is no user {name}.")
        return found


def _with_data(settings: Settings, work: Callable[[Data], Awaitable[None]]) -> None:
    async def run() -> None:
        database, passwords, now = Database(settings.database_url), Passwords(), time.time()
        try:
            await prepare(database, settings, passwords, now)
            store = Store(database, policy_of(settings))
            await work(Data(Users(database), store, passwords, now))
        finally:
            passwords.close()
            await database.close()

    _run(run())


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except Unavailable:
        raise Problem("The database does not answer.") from None


async def _nothing(_data: Data) -> None:
    """Serving needs the database to be ready, and no more."""


def _new_password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise Problem(f"A password has {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters.")
    return password
