"""The server as a process: start, sign-in, kill, and the command line."""

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.server_process import PASSWORD, ServerProcess, StartProcess, clean_environment
from unexpired_server.cli import main
from unexpired_server.ops.serve import listen


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run one command on the test's data, in this process, which is faster."""
    monkeypatch.chdir(tmp_path)

    def run_command(*args: str, stdin: str = "", **environment: str) -> Result:
        return CliRunner().invoke(main, args, input=stdin, env=environment)

    return run_command


Run = Callable[..., Result]


def test_a_first_start_creates_private_data_and_serves(serve: StartProcess, tmp_path: Path) -> None:
    process = serve()
    assert process.announced == process.url
    assert process.ask("GET", "/healthz", None) == (200, {"status": "ok"})
    data = tmp_path / "data"
    assert data.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in data.iterdir()} == {0o600}
    process.stop()
    assert "Traceback" not in process.log


def test_the_demo_has_its_user_its_short_tokens_and_its_own_files(
    serve: StartProcess, tmp_path: Path
) -> None:
    process = serve("--demo")
    assert process.announced == f"{process.url}  sign in as demo / demo"
    assert process.sign_in("demo", "demo")["expiresIn"] == 20
    _, offered = process.ask("GET", "/api/features", None)
    assert offered["demo"] == {"username": "demo", "password": "demo"}
    names = {file.name for file in (tmp_path / "data").iterdir()}
    assert {"demo.sqlite3", "demo-keys.json"} <= names
    assert not any(name.startswith(("unexpired", "keys")) for name in names)
    process.stop()
    again = serve("--demo", "--access-ttl", "3")
    assert again.sign_in("demo", "demo")["expiresIn"] == 3


def test_the_demo_refuses_a_database_with_other_users(run: Run) -> None:
    url = "sqlite:///real.sqlite3"
    assert run("user", "add", "ada", "--database-url", url, stdin=f"{PASSWORD}\n").exit_code == 0
    with listen("127.0.0.1", 0) as taken:  # So that a failing test does not serve forever.
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("serve", "--demo", "--port", port, "--database-url", url)
    assert result.exit_code == 2
    assert "database of its own" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_kill_between_commit_and_response_ends_no_session(
    serve: StartProcess, tmp_path: Path
) -> None:
    process = serve("--demo")
    token = process.sign_in("demo", "demo")["refreshToken"]
    status, lost = process.post("/api/refresh", {"refreshToken": token})
    assert status == 200
    process.stop(signal.SIGKILL)
    with closing(sqlite3.connect(tmp_path / "data" / "demo.sqlite3")) as connection:
        assert connection.execute("SELECT counter FROM sessions").fetchall() == [(1,)]
    again = serve("--demo")
    status, found = again.post("/api/refresh", {"refreshToken": token})
    assert status == 200
    assert found["refreshToken"] == lost["refreshToken"]
    assert again.post("/api/refresh", {"refreshToken": found["refreshToken"]})[0] == 200


def test_a_session_survives_a_restart_and_the_log_holds_no_secret(serve: StartProcess) -> None:
    process = serve("--demo")
    tokens = process.sign_in("demo", "demo")
    process.get(f"/api/me?token={tokens['accessToken']}", tokens["accessToken"])
    process.stop()
    assert process.child.returncode in {0, -signal.SIGTERM}
    again = serve("--demo")
    status, renewed = again.post("/api/refresh", {"refreshToken": tokens["refreshToken"]})
    assert status == 200
    assert again.get("/api/me", renewed["accessToken"])[1]["username"] == "demo"
    assert '"route": "/api/me", "status": 200' in again.log
    for token in (tokens, renewed):
        assert token["accessToken"][-20:] not in again.log
        assert token["refreshToken"][-20:] not in again.log


def test_users_are_added_from_standard_input_changed_and_disabled(
    serve: StartProcess, run: Run
) -> None:
    assert run("user", "add", "ada", stdin=f"{PASSWORD}\n").stdout == "Added ada.\n"
    process = serve()
    tokens = process.sign_in("ada", PASSWORD)
    assert run("user", "passwd", "ada", stdin="another password\r\n").exit_code == 0
    credentials = {"username": "ada", "password": PASSWORD}
    assert process.post("/api/login", credentials)[0] == 401
    response = process.post("/api/refresh", {"refreshToken": tokens["refreshToken"]})
    assert response[1]["code"] == "SESSION_REVOKED"
    tokens = process.sign_in("ada", "another password")
    assert run("user", "disable", "ada").exit_code == 0
    assert_soon_revoked(process, tokens["accessToken"])
    credentials["password"] = "another password"
    assert process.post("/api/login", credentials)[1]["code"] == "BAD_CREDENTIALS"


def test_sessions_are_listed_and_revoked_from_the_command_line_within_five_seconds(
    serve: StartProcess, run: Run
) -> None:
    run("user", "add", "ada", stdin=f"{PASSWORD}\n")
    process = serve()
    tokens = process.sign_in("ada", PASSWORD)
    listed = run("session", "list", "ada").stdout
    assert run("session", "list").stdout == listed
    session_id, when, bound, username, device = listed.split()
    assert (bound, username, device.split("/")[0]) == ("-", "ada", "Python-urllib")
    assert when.endswith("Z")
    assert run("session", "revoke", session_id).stdout == "Revoked.\n"
    assert_soon_revoked(process, tokens["accessToken"])
    assert run("session", "list").stdout == ""
    again = run("session", "revoke", session_id)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "no live session" in again.stderr


def assert_soon_revoked(process: ServerProcess, token: str) -> None:
    deadline = time.monotonic() + 5
    while process.get("/api/me", token)[0] == 200:
        assert time.monotonic() < deadline, "the revocation took more than five seconds"
        time.sleep(0.05)
    assert process.get("/api/me", token)[1]["code"] == "SESSION_REVOKED"


def test_the_server_starts_with_a_printed_secret(serve: StartProcess, run: Run) -> None:
    secret = run("secret").stdout.strip()
    assert len(secret) == 43
    process = serve(UNEXPIRED_SECRET=secret)
    assert process.ask("GET", "/healthz", None)[0] == 200
    assert not (process.folder / "data" / "keys.json").exists()


@pytest.mark.parametrize(
    ("args", "environment", "sentence"),
    [
        (["serve"], {"UNEXPIRED_SECRET": "changeme"}, "main secret"),
        ([], {"UNEXPIRED_ACCESS_TTL": "soon"}, "Setting access_ttl:"),
        (["serve", "--demo", "--host", "0.0.0.0"], {}, "loopback only"),  # noqa: S104
        (["serve", "--port", "99999"], {}, "Setting port:"),
        (["serve", "--host", "192.0.2.1"], {}, "Cannot listen on 192.0.2.1"),
        (["serve", "--database-url", "invalid"], {}, "Setting database_url:"),
        (["serve", "--database-url", "sqlite:////proc/x/y"], {}, "cannot be opened"),
        (["user", "passwd", "nobody"], {}, "There is no user nobody."),
        (["user", "disable", "nobody"], {}, "There is no user nobody."),
        (["user", "add", ""], {}, "A username has"),
        (["session", "list", "nobody"], {}, "There is no user nobody."),
    ],
)  # fmt: skip
def test_an_unusable_setting_is_one_sentence_and_exit_code_2(
    run: Run, args: list[str], environment: dict[str, str], sentence: str
) -> None:
    result = run(*args, stdin=f"{PASSWORD}\n", **environment)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert "changeme" not in result.stderr


def test_a_weak_secret_stops_the_process_before_it_listens(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "server"],
        cwd=tmp_path,
        env={**clean_environment(), "UNEXPIRED_SECRET": "changeme"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "python -m server secret" in result.stderr
    assert "Traceback" not in result.stderr
    assert "changeme" not in result.stderr


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (["-m", "server"], "python -m server"),
        (["-m", "unexpired_server"], "python -m unexpired_server"),
        (["unexpired-server"], "unexpired-server"),
    ],
)
def test_help_and_errors_name_the_command_that_was_run(
    tmp_path: Path, program: list[str], name: str
) -> None:
    (tmp_path / "unexpired-server").write_text("from unexpired_server.cli import main\nmain()\n")

    def output(*args: str, **environment: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, *program, *args],
            cwd=tmp_path,
            env={**clean_environment(), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    assert f"Try it:          {name} serve --demo\n" in output("--help")
    refusal = output("serve", UNEXPIRED_SECRET="changeme")
    assert f"Make a good one: {name} secret\n" in refusal


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_that_is_too_short_or_too_long_is_refused(run: Run, password: str) -> None:
    result = run("user", "add", "ada", stdin=f"{password}\n")
    assert result.exit_code == 2
    assert "8 to 1024 characters" in result.stderr


def test_a_taken_username_is_refused(run: Run) -> None:
    run("user", "add", "ada", stdin=f"{PASSWORD}\n")
    result = run("user", "add", "ada", stdin=f"{PASSWORD}\n")
    assert result.exit_code == 2
    assert "already a user ada" in result.stderr


def test_a_locked_database_is_one_sentence(run: Run, tmp_path: Path) -> None:
    run("user", "add", "ada", stdin=f"{PASSWORD}\n")
    with closing(sqlite3.connect(tmp_path / "data" / "unexpired.sqlite3")) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN EXCLUSIVE")
        result = run("user", "add", "bob", stdin=f"{PASSWORD}\n")
    assert result.exit_code == 2
    assert "The database is unavailable." in result.stderr


def test_responses_are_not_delayed_by_nagles_algorithm() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_an_address_in_use_is_one_sentence(serve: StartProcess, run: Run) -> None:
    port = serve("--demo").url.rpartition(":")[2]
    result = run("serve", "--demo", "--port", port)
    assert result.exit_code == 2
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use" in result.stderr
