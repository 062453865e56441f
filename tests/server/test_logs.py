"""Log lines: what they may hold, which requests have one, and what reaches a terminal."""

import asyncio
import json
import logging
import unicodedata
from typing import Any

import httpx
import pytest
import structlog
from structlog.stdlib import ProcessorFormatter

from tests.server.harness import StartServer, TestServer, call
from tests.server.test_system import numbers
from tests.support.server_process import StartProcess
from unexpired_server.errors import Unavailable
from unexpired_server.ops.logs import AccessRecord, JSONFormatter, log_config
from unexpired_server.service import Service

TOKEN = "rt1." + "A" * 80
HOSTILE = (
    "\x1b[2J\x1b]52;c;cGF5bG9hZA==\x07",  # Clears the screen; writes to the clipboard.
    "\x9b31m",  # The same as ESC [ in one C1 character.
    "\rGET /", "\x08\x08", "\x7f",
    "\u202egnp.exe", "\u2066x\u2069", "\u061c", "\u200f",
    "\u2028forged", "\udcff", "\U000e0041",
)  # fmt: skip


def formatter(*, is_for_people: bool) -> logging.Formatter:
    config = log_config(is_for_people=is_for_people)["formatters"]["structured"]
    made: logging.Formatter = config["()"](
        processors=config["processors"], foreign_pre_chain=config["foreign_pre_chain"]
    )
    return made


def line(message: str, *, is_for_people: bool, **extra: object) -> str:
    record = logging.LogRecord("unexpired.audit", logging.INFO, "", 0, message, None, None)
    vars(record).update(extra)
    return formatter(is_for_people=is_for_people).format(record)


def without_our_colours(text: str) -> str:
    for name in vars(structlog.dev):
        if name.isupper() and isinstance(code := getattr(structlog.dev, name), str) and code:
            text = text.replace(code, "")
    return text


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("is_for_people", [True, False])
def test_no_control_character_of_a_client_reaches_a_terminal(
    text: str, *, is_for_people: bool
) -> None:
    written = line(text, is_for_people=is_for_people, address=text, more={"agent": [text]})
    shown = (
        without_our_colours(written)
        if is_for_people
        # Tools such as jq print the values, so those must be harmless as well.
        else "".join(map(str, json.loads(written).values()))
    )
    assert not {c for c in shown if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl"}}
    shown.encode()


def test_text_of_a_client_cannot_look_like_a_line_of_its_own() -> None:
    written = line("refused\n2026-11-25 forged", is_for_people=True, address="a\nforged")
    assert not [one for one in written.splitlines()[1:] if not one.startswith("    ")]


def test_letters_of_every_language_stay_readable() -> None:
    written = json.loads(line("Zoë 山田 می‌خواهم 👩‍💻", is_for_people=False))
    assert written["event"] == "Zoë 山田 می‌خواهم 👩‍💻"


@pytest.mark.parametrize("is_for_people", [True, False])
def test_no_token_is_logged_however_deep_it_is(*, is_for_people: bool) -> None:
    written = line(
        TOKEN,
        is_for_people=is_for_people,
        error=ValueError(TOKEN),
        headers={"authorization": [TOKEN], TOKEN: {"a": {"b": {"c": {"d": TOKEN}}}}},
        raw=TOKEN.encode(),
    )
    assert TOKEN[-20:] not in written
    assert "[token]" in written


def test_the_coloured_copy_of_a_message_is_left_out() -> None:
    written = json.loads(line("Started", is_for_people=False, color_message="\x1b[36mStarted"))
    assert set(written) == {"event", "level", "logger", "timestamp"}


def test_what_has_no_bottom_is_logged_all_the_same() -> None:
    endless: list[Any] = [TOKEN]
    endless.append(endless)
    written = line("x", is_for_people=False, endless=endless, keys={(1, 2): None})
    assert json.loads(written)["keys"] == {"(1, 2)": None}
    assert TOKEN[-20:] not in written


def an_access_record() -> AccessRecord:
    return AccessRecord(
        logging.INFO, method="GET", route="/api/é", status=200, ms=1.5, request_id="proxy-1234"
    )


def test_a_request_has_the_same_line_as_if_the_processors_had_made_it() -> None:
    fast = formatter(is_for_people=False)
    assert isinstance(fast, JSONFormatter)
    record = an_access_record()
    made, expected = fast.format(record), ProcessorFormatter.format(fast, record)
    times = [json.loads(one).pop("timestamp") for one in (made, expected)]
    assert [(len(at), at[-1]) for at in times] == [(27, "Z")] * 2
    made, expected = (json.loads(one) | {"timestamp": ""} for one in (made, expected))
    assert made == expected


def test_a_host_may_format_the_record_of_a_request_in_any_way() -> None:
    ours = an_access_record()
    usual = logging.LogRecord("unexpired.access", logging.INFO, "", 0, "GET", None, None)
    assert vars(ours).keys() - {"route", "status", "ms", "request_id"} == vars(usual).keys()
    differing = {name for name, value in vars(usual).items() if getattr(ours, name) != value}
    clock = {"created", "msecs", "relativeCreated"}
    assert differing - clock <= {"thread", "threadName", "process", "processName", "taskName"}
    assert usual.created - ours.created == pytest.approx(0, abs=10)
    assert ours.msecs == pytest.approx(ours.created % 1 * 1000)
    elapsed = (usual.relativeCreated - ours.relativeCreated) / 1000
    assert elapsed == pytest.approx(usual.created - ours.created, abs=0.01)
    assert logging.Formatter("%(levelname)s %(message)s").format(ours) == "INFO GET"


def test_the_line_of_a_request_has_what_the_application_has_bound() -> None:
    with structlog.contextvars.bound_contextvars(tenant=TOKEN):
        written = json.loads(formatter(is_for_people=False).format(an_access_record()))
    assert written["tenant"] == "[token]"
    assert (written["route"], written["status"], written["ms"]) == ("/api/é", 200, 1.5)


def logged_ids(caplog: pytest.LogCaptureFixture) -> set[str]:
    return {vars(one)["request_id"] for one in caplog.records if one.name == "unexpired.access"}


async def test_a_sample_of_successes_is_logged_and_every_failure_and_all_are_counted(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unexpired.access")
    node = await start(log_sample=0.25)
    ids = [f"request-{number}" for number in range(200)]
    for one in ids:
        await node.http.get("/healthz", headers={"X-Request-ID": one})
    kept = logged_ids(caplog)
    assert len(kept) == pytest.approx(50, abs=20)
    caplog.clear()
    for one in ids:
        await node.http.get("/api/me", headers={"X-Request-ID": one})
    assert logged_ids(caplog) == set(ids)
    counted = await numbers(node)
    assert counted['unexpired_requests_total{method="GET",route="/healthz",status="200"}'] == 200


async def test_every_node_keeps_the_same_requests_and_a_larger_sample_keeps_more(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unexpired.access")
    ids = [f"request-{number}" for number in range(100)]

    async def kept(sample: float) -> set[str]:
        caplog.clear()
        node = await start(log_sample=sample)
        for one in ids:
            await node.http.get("/healthz", headers={"X-Request-ID": one})
        return logged_ids(caplog)

    few = await kept(0.3)
    assert await kept(0.3) == few
    assert few < await kept(0.6) < set(ids)
    assert await kept(0) == set()
    assert await kept(1) == set(ids)


async def test_what_is_the_servers_fault_is_logged_as_a_warning(
    node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "unexpired.access")
    service: Service = node.app.state.service

    async def down() -> None:
        raise Unavailable

    service.readiness.add("database", down)
    for path in ("/healthz", "/api/me", "/readyz"):
        await node.http.get(path)
    levels = [one.levelname for one in caplog.records if one.name == "unexpired.access"]
    assert levels == ["INFO", "INFO", "WARNING"]


async def test_a_request_that_its_client_gave_up_is_logged_without_a_status(
    start: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    node = await start(log_sample=0)
    body = (b"content-type", b"application/json")
    hanging = call(node.app, "POST", "/api/login", [body], [b"{"], hang=True)
    task = asyncio.create_task(hanging)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (record,) = (one for one in caplog.records if one.name == "unexpired.access")
    assert (vars(record)["status"], record.levelname) == (0, "WARNING")


def test_the_level_is_that_of_the_settings(serve: StartProcess) -> None:
    quiet = serve(UNEXPIRED_LOG_LEVEL="warning")
    assert httpx.get(f"{quiet.url}/healthz").is_success
    assert httpx.get(f"{quiet.url}/api/me").status_code == 401
    quiet.stop()
    assert quiet.log == ""
    assert log_config("error")["root"]["level"] == "ERROR"
    assert log_config("debug")["root"]["level"] == "WARNING"
