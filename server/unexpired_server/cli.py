"""The command line.

Texts name the installed command, ``unexpired-server``; people read the one that they really ran,
such as ``python -m unexpired_server``.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
import unicodedata
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from unexpired_server.app import create_app
from unexpired_server.errors import Unavailable
from unexpired_server.http.failure_response import iso
from unexpired_server.ops.serve import Build
from unexpired_server.ops.serve import serve as run_server
from unexpired_server.scopes import (
    MAXIMUM_LENGTH,
    InvalidScopeError,
    checked_scopes,
    join_scopes,
)
from unexpired_server.service import DEMO_NAME, longest_life, policy_of, prepare
from unexpired_server.sessions.passwords import (
    InvalidPasswordError,
    Passwords,
    check_new_password,
)
from unexpired_server.sessions.revocations import Revocations
from unexpired_server.sessions.sessions import SessionAdmin
from unexpired_server.sessions.store import Store
from unexpired_server.sessions.usernames import InvalidUsernameError, new_username
from unexpired_server.sessions.users import Account, UserExistsError, Users
from unexpired_server.settings import Settings, SettingsError, load_settings
from unexpired_server.storage.clock import DatabaseClock
from unexpired_server.storage.database import Database
from unexpired_server.storage.tables import TablesError
from unexpired_server.tokens import key_file
from unexpired_server.tokens.key_file import (
    ACTIVATION_DELAY,
    KeyEntry,
    KeyFile,
    activation_delay,
    new_secret,
)
from unexpired_server.tokens.keys import load_ring

COMMAND = "unexpired-server"

HAS_PASSWORD = re.compile(r"^[^/]*//[^/?#]*:[^/?#@]+@|[?&](?:ssl)?password=[^&]", re.IGNORECASE)
"""A URL with a password, in its authority or, as libpq takes it, in its query."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of characters that do more, or less, than show a glyph."""


def as_run(text: str) -> str:
    """Return a text with the command that was really run."""
    return text.replace(f"{COMMAND} ", f"{click.get_current_context().find_root().command_path} ")


def shown(text: object) -> str:
    """Return a text that a terminal only shows: devices and names come from clients.

    Control characters, which set colours, titles or the clipboard, and invisible ones, which
    reorder what is read, are escaped.
    """
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in UNSEEN else one
        for one in str(text)
    )


class Problem(click.ClickException):
    """One sentence for people, and the exit code of a wrong invocation."""

    exit_code = 2

    def format_message(self) -> str:
        """Return the sentence, which may quote a name."""
        return shown(self.message)


class Program(click.Group):
    """The group of all commands."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, with the command that was really run."""
        formatter.write_paragraph()
        written = click.HelpFormatter(width=formatter.width)
        super().format_help_text(ctx, written)
        formatter.write(as_run(written.getvalue()))


def readable(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a ``SettingsError`` into one sentence without a traceback."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except SettingsError as exc:
            raise Problem(as_run(str(exc))) from None

    return wrapper


Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def flag(name: str, what: str) -> Decorator:
    """Return a flag that passes a setting's text on; the settings validate it."""
    return click.option(name, help=what)


def url_flag(name: str, what: str) -> Decorator:
    """Return a flag for a URL without a password: all users see the list of processes."""
    return click.option(name, help=what, callback=_without_password)


def _without_password(
    _context: click.Context, parameter: click.Parameter, url: str | None
) -> str | None:
    if url and HAS_PASSWORD.search(url):
        variable = f"UNEXPIRED_{(parameter.name or '').upper()}"
        raise Problem(
            f"A password in {parameter.opts[0]} can be read in the list of processes: put the "
            f"URL into the variable {variable}."
        )
    return url


keys_flag: Decorator = flag("--keys-file", "The file with the signing keys (data/keys.json).")
database_flag: Decorator = url_flag("--database-url", "The database with users and sessions.")


@click.group(cls=Program, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Unexpired: keep a web app signed in. Without a command, serve.

    \b
    Try it:          unexpired-server serve --demo
    Add a user:      unexpired-server user add ada
    Several nodes:   export UNEXPIRED_DATABASE_URL=postgresql://app@db/unexpired
                     unexpired-server migrate
                     unexpired-server serve --host 0.0.0.0 --workers 4
    Add a key:       unexpired-server key rotate

    Every setting is also a variable UNEXPIRED_<NAME>; flags win over variables. Commands exit
    with 0, or with 2 and one sentence that says what is wrong.
    """  # noqa: D301 - click looks for the backspace itself
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
@flag("--host", "The address to listen on (127.0.0.1).")
@flag("--port", "The port to listen on (8000).")
@url_flag("--database-url", "The database with users and sessions (a file under data/).")
@flag("--keys-file", "The file with the signing keys (data/keys.json).")
@flag("--algorithm", "How access tokens are signed: HS256, EdDSA or ES256 (HS256).")
@flag("--access-ttl", "Lifetime of an access token in seconds (900).")
@flag("--refresh-idle-ttl", "Seconds that a session lives without a refresh (604800).")
@flag("--refresh-absolute-ttl", "Maximum age of a session in seconds (2592000).")
@flag("--refresh-grace", "Seconds that a just-used refresh token may be presented again (30).")
@flag("--leeway", "Seconds of clock tolerance (60).")
@flag("--cors-origins", "Other origins whose pages may call the API, separated by commas.")
@flag("--trusted-proxies", "Proxies whose X-Forwarded-For is used, separated by commas.")
@url_flag("--rate-limit-url", "A Redis that shares rate limits between nodes (each node's memory).")
@flag("--workers", "How many worker processes serve requests (1).")
@flag("--page-dir", "The folder of a page to serve, such as dist.")
@click.option("--refresh/--no-refresh", default=None, help="Whether to issue refresh tokens.")
@click.option(
    "--rotation/--no-rotation",
    default=None,
    help="Whether each refresh replaces the refresh token.",
)
@click.option("--signup/--no-signup", default=None, help="Whether people may create accounts (no).")
@click.option("--demo", is_flag=True, default=None, help="User demo / demo, tokens of 20 s.")
@click.pass_obj
@readable
def serve(build: Build | None, **flags: str | bool | None) -> None:
    """Serve the API, and a page if there is one."""
    settings = load_settings(**flags)
    hint = f"  sign in as {DEMO_NAME} / {DEMO_NAME}" if settings.demo else ""
    load_ring(settings)
    _prepare_data(settings)
    run_server(settings, build or create_app, lambda url: click.echo(f"{url}{hint}"))


@main.command()
def secret() -> None:
    """Print a new signing key for UNEXPIRED_SECRET."""
    click.echo(new_secret())


@main.command("migrate")
@database_flag
@readable
def migrate_database(database_url: str | None) -> None:
    """Bring the database's tables up to date.

    A SQLite file is migrated whenever the server starts. PostgreSQL is migrated only by this
    command, so that nodes of two versions never change the tables under each other.
    """
    settings = load_settings(database_url=database_url)

    async def run() -> None:
        database = Database(settings.database_url)
        try:
            click.echo(await database.migrate())
        finally:
            await database.close()

    _run(run())


@main.group()
def key() -> None:
    """Rotate, list and retire signing keys; running nodes notice."""


@key.command()
@flag("--algorithm", "The new key's algorithm: HS256, EdDSA or ES256.")
@click.option(
    "--after",
    type=click.FloatRange(min=ACTIVATION_DELAY),
    help="Seconds until it signs: 10, or 310 with EdDSA and ES256, because others may cache the "
    "public keys for 300. Less only if a key was stolen; more if the file reaches nodes later.",
)
@keys_flag
@readable
def rotate(algorithm: str | None, after: float | None, keys_file: str | None) -> None:
    """Add a signing key.

    It becomes active after a delay, so that every node has loaded it; older keys keep verifying.
    """
    settings = load_settings(algorithm=algorithm, keys_file=keys_file)
    if not settings.keys_file.exists():
        load_ring(settings)
    delay = activation_delay(settings.algorithm) if after is None else after
    entry = key_file.rotate(settings.keys_file, settings.algorithm, time.time() + delay)
    click.echo(f"{entry.kid}  {entry.alg}  signs in {delay:g} s")


@key.command("list")
@keys_flag
@readable
def list_keys(keys_file: str | None) -> None:
    """List the keys and what each does, never the keys themselves."""
    settings, now = load_settings(keys_file=keys_file), time.time()
    file = key_file.read(settings.keys_file)
    for one in file.keys:
        role = _role(file, one, settings, now)
        click.echo(shown(f"{one.kid}  {one.alg}  {one.created}  {role}"))


@key.command()
@click.argument("kid")
@click.option("--now", "at_once", is_flag=True, help="Even if its tokens are still valid.")
@keys_flag
@readable
def retire(kid: str, keys_file: str | None, *, at_once: bool) -> None:
    """Remove the key KID, once the last token that it signed has expired."""
    settings, now = load_settings(keys_file=keys_file), time.time()
    file = key_file.read(settings.keys_file)
    until = _last_expiry(file, kid, settings, now)
    if until is not None and until > now and not at_once:
        raise Problem(
            f"Tokens that {kid} signed are valid until {iso(int(until))}; use --now to end them."
        )
    key_file.retire(settings.keys_file, kid, now)
    click.echo(f"Retired {kid}.")


def _role(file: KeyFile, one: KeyEntry, settings: Settings, now: float) -> str:
    if one.kid == file.signing(now):
        return "signs"
    until = _last_expiry(file, one.kid, settings, now)
    if until is None:
        return f"will sign from {iso(int(one.active_from or 0))}"
    return f"verifies until {iso(int(until))}" if until > now else "can be retired"


def _last_expiry(file: KeyFile, kid: str, settings: Settings, now: float) -> float | None:
    """Return when the last token of a key expires; None when it signs now, or will."""
    stopped = file.stopped_at(kid, now) if kid in {one.kid for one in file.keys} else None
    return None if stopped is None else stopped + longest_life(settings)


@main.group()
def user() -> None:
    """Add users, change their passwords and scopes, disable them."""


@user.command()
@click.argument("name")
@database_flag
@readable
def add(name: str, database_url: str | None) -> None:
    """Add the user NAME, with a password from a prompt or from one line of standard input."""
    try:
        name = new_username(name)
    except InvalidUsernameError as exc:
        raise Problem(str(exc)) from None
    password = _new_password()

    async def work(data: Data) -> None:
        await data.users.add(name, data.passwords.hash(password), data.now)

    try:
        _with_data(load_settings(database_url=database_url), work)
    except UserExistsError:
        raise Problem(f"There is already a user {name}.") from None
    click.echo(shown(f"Added {name}."))


@user.command()
@click.argument("name")
@database_flag
@readable
def passwd(name: str, database_url: str | None) -> None:
    """Change the password of the user NAME, and end all their sessions."""
    password = _new_password()

    async def work(data: Data) -> None:
        user = await data.user(name)
        await data.sessions.set_password(user, data.passwords.hash(password))

    _with_data(load_settings(database_url=database_url), work)
    click.echo(shown(f"Changed the password of {name} and ended all sessions."))


@user.command()
@click.argument("name")
@click.argument("scopes", nargs=-1)
@click.option("--add", "added", multiple=True, help="A scope to add; may be repeated.")
@click.option("--remove", "removed", multiple=True, help="A scope to remove; may be repeated.")
@click.option("--none", "is_none", is_flag=True, help="Remove all scopes.")
@database_flag
@readable
def scope(  # noqa: PLR0913 - each is an argument of the command
    name: str,
    scopes: tuple[str, ...],
    added: tuple[str, ...],
    removed: tuple[str, ...],
    database_url: str | None,
    *,
    is_none: bool,
) -> None:
    """Set what the user NAME may do to SCOPES, such as orders:write; without any, print it.

    A change takes effect at the next refresh of each of their sessions.
    """
    if bool(scopes) + is_none + bool(added or removed) > 1:
        raise Problem("Give scopes to set, or --add and --remove, or --none.")
    given = _checked_scopes(*scopes, *added, *removed)

    async def work(data: Data) -> None:
        user = await data.user(name)
        kept = frozenset() if scopes or is_none else user.scopes
        wanted = _checked_scopes(*((kept | {*scopes, *added}) - {*removed}))
        if given or is_none:
            await data.users.set_scopes(user.id, wanted)
        click.echo(shown(join_scopes(wanted) or f"{name} has no scopes."))

    _with_data(load_settings(database_url=database_url), work)


def _checked_scopes(*scopes: str) -> frozenset[str]:
    try:
        found = checked_scopes(scopes)
    except InvalidScopeError as exc:
        raise Problem(str(exc)) from None
    if len(join_scopes(found)) > MAXIMUM_LENGTH:
        raise Problem(f"All scopes of a user have at most {MAXIMUM_LENGTH} characters together.")
    return found


@user.command("list")
@database_flag
@readable
def list_users(database_url: str | None) -> None:
    """List the users, and what they may do."""

    async def work(data: Data) -> None:
        after = ""
        while page := await data.users.page(after):
            for one in page:
                click.echo(shown(f"{one.username}  {join_scopes(one.scopes)}".rstrip()))
            after = page[-1].username

    _with_data(load_settings(database_url=database_url), work)


@user.command()
@click.argument("name")
@database_flag
@readable
def disable(name: str, database_url: str | None) -> None:
    """Disable sign-in for the user NAME, and end all their sessions."""

    async def work(data: Data) -> None:
        await data.sessions.disable(await data.user(name))

    _with_data(load_settings(database_url=database_url), work)
    click.echo(shown(f"Disabled {name} and ended all sessions."))


@main.group()
def session() -> None:
    """List and revoke sessions."""


@session.command("list")
@click.argument("name", required=False)
@database_flag
@readable
def list_sessions(name: str | None, database_url: str | None) -> None:
    """List the live sessions, of all users or of the user NAME.

    A session that is bound can be refreshed only by the device that has its key.
    """

    async def work(data: Data) -> None:
        user_id = (await data.user(name)).id if name else None
        after = None
        while page := await data.sessions.live(user_id, after=after):
            for one in page:
                user_id = one.session.user_id
                # An application's own users are not in the table.
                username = await data.users.username_of(user_id) or user_id
                at = iso(int(one.session.refreshed_at))
                bound = "bound" if one.is_bound else "-"
                click.echo(shown(f"{one.session.id}  {at}  {bound:5}  {username}  {one.device}"))
            after = page[-1].session.id

    _with_data(load_settings(database_url=database_url), work)


@session.command()
@click.argument("session_id")
@database_flag
@readable
def revoke(session_id: str, database_url: str | None) -> None:
    """Revoke one session; its access tokens are refused within seconds."""

    async def work(data: Data) -> None:
        if not await data.sessions.revoke(session_id):
            raise Problem("There is no live session with this id.")

    _with_data(load_settings(database_url=database_url), work)
    click.echo("Revoked.")


@dataclass(frozen=True)
class Data:
    """The data that commands work on; ``now`` in Unix seconds."""

    users: Users
    sessions: SessionAdmin
    passwords: Passwords
    now: float

    async def user(self, name: str) -> Account:
        """Return the user with this name.

        Raises:
            Problem: There is none.
        """
        found = await self.users.find(name)
        if found is None:
            raise Problem(f"There is no user {name}.")
        return found


def _prepare_data(settings: Settings) -> None:
    """Prepare the database; start without it where it is away, or is to be migrated."""

    async def run() -> None:
        database, passwords = Database(settings.database_url), Passwords()
        try:
            await prepare(database, settings, passwords, time.time())
        except Unavailable:
            click.echo("The database is unavailable: starting without it.", err=True)
        except TablesError as exc:
            click.echo(f"{exc}: starting without the database.", err=True)
        finally:
            passwords.close()
            await database.close()

    asyncio.run(run())


def _with_data(settings: Settings, work: Callable[[Data], Awaitable[None]]) -> None:
    async def run() -> None:
        database, passwords = Database(settings.database_url), Passwords()
        clock = DatabaseClock(database)
        try:
            await prepare(database, settings, passwords, clock())
            await clock.look()
            sessions = _sessions(database, settings, clock)
            await work(Data(Users(database), sessions, passwords, clock()))
        finally:
            passwords.close()
            await database.close()

    _run(run())


def _sessions(database: Database, settings: Settings, clock: DatabaseClock) -> SessionAdmin:
    store = Store(database, policy_of(settings))
    # Running servers learn of a revocation from the database; this process checks no tokens.
    return SessionAdmin(store, Revocations(store, 0, clock), clock)


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except Unavailable:
        raise Problem("The database is unavailable.") from None


def _new_password() -> str:
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        check_new_password(password)
    except InvalidPasswordError as exc:
        raise Problem(str(exc)) from None
    return password
