"""Verification by public keys at a URL: which keys, and what a slow or broken URL may do."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.server.harness import StartServer
from tests.support.clock import START, FakeClock
from unexpired_server.cli import main
from unexpired_server.errors import TokenInvalid, Unavailable
from unexpired_server.tokens import documents, key_file, remote_value
from unexpired_server.tokens.documents import Document, RetryLaterError, get_document
from unexpired_server.tokens.flights import Fetch
from unexpired_server.tokens.jwk_set import ALGORITHMS
from unexpired_server.tokens.jwks_verifier import JWKSVerifier

RSA_KEY = rsa.generate_private_key(65537, 2048)
PRIVATE: dict[str, Any] = {
    **{alg: RSA_KEY for alg in sorted(ALGORITHMS) if alg[:2] in {"RS", "PS"}},
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
TO_JWK = {"RS": RSAAlgorithm, "PS": RSAAlgorithm, "ES": ECAlgorithm, "Ed": OKPAlgorithm}


def jwk(kind_of: str, kid: str = "one", /, **more: Any) -> dict[str, Any]:
    kind: Any = TO_JWK[kind_of[:2]]
    public: dict[str, Any] = kind.to_jwk(PRIVATE[kind_of].public_key(), as_dict=True)
    public.pop("key_ops", None)
    return {name: v for name, v in {**public, "kid": kid, **more}.items() if v is not None}


def document(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def token(alg: str = "EdDSA", kid: str = "one", key: Any = None) -> str:
    claims = {
        "iss": "unexpired",
        "aud": "unexpired",
        "sub": "ada",
        "sid": "1",
        "jti": "j",
        "iat": START,
        "exp": START + 80_000,
    }
    return jwt.encode(claims, key or PRIVATE[alg], alg, {"kid": kid, "typ": "at+jwt"})


class Source:
    """A URL that answers as a test says, and counts."""

    def __init__(self, *answers: bytes | Document | Exception) -> None:
        self.answers = list(answers)
        self.calls = 0
        self.opened = asyncio.Event()
        self.opened.set()

    async def __call__(self, _address: str) -> bytes | Document:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.opened.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


def verifier(fetch: Fetch, clock: FakeClock, **options: Any) -> JWKSVerifier:
    return JWKSVerifier("https://keys.example/jwks", now=clock, fetch=fetch, **options)


async def soon(work: Awaitable[Any]) -> Any:
    """What must not wait for the URL."""
    return await asyncio.wait_for(work, 2)


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
@pytest.mark.parametrize("names_it", [True, False])
async def test_every_public_key_algorithm_verifies_with_and_without_alg_in_the_key(
    clock: FakeClock, alg: str, *, names_it: bool
) -> None:
    source = Source(document(jwk(alg, alg=alg if names_it else None)))
    checks = verifier(source, clock)
    assert (await checks.verify(token(alg))).user_id == "ada"
    with pytest.raises(TokenInvalid):
        await checks.verify(token(alg)[:-4] + "AAAA")
    if alg[:2] in {"RS", "PS"}:
        other = "PS256" if alg != "PS256" else "RS256"
        if names_it:
            with pytest.raises(TokenInvalid):
                await checks.verify(token(other))
        else:
            assert (await checks.verify(token(other))).user_id == "ada"


async def test_only_the_algorithms_of_the_option_are_accepted(clock: FakeClock) -> None:
    checks = verifier(Source(document(jwk("RS256"))), clock, algorithms=("RS256",))
    assert (await checks.verify(token("RS256"))).user_id == "ada"
    with pytest.raises(TokenInvalid):
        await checks.verify(token("PS256"))
    for alg in ("HS256", "none"):
        with pytest.raises(ValueError, match="public-key algorithm"):
            verifier(Source(b""), clock, algorithms=(alg,))


async def test_a_hanging_url_does_not_hold_up_known_keys(clock: FakeClock) -> None:
    source = Source(document(jwk("EdDSA")))
    checks = verifier(source, clock)
    await checks.verify(token())
    source.opened.clear()
    clock.advance(301)
    for _ in range(20):
        assert (await soon(checks.verify(token()))).user_id == "ada"
        await asyncio.sleep(0)
    assert source.calls == 2
    source.opened.set()


async def test_callers_share_one_fetch_and_none_takes_it_along_when_it_is_cancelled(
    clock: FakeClock,
) -> None:
    source = Source(document(jwk("EdDSA")))
    source.opened.clear()
    checks = verifier(source, clock)
    waiting = [asyncio.create_task(checks.verify(token())) for _ in range(50)]
    await settled(lambda: source.calls == 1)
    waiting[0].cancel()
    await asyncio.sleep(0)
    source.opened.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {one.user_id for one in results[1:] if not isinstance(one, BaseException)} == {"ada"}
    assert source.calls == 1


async def test_with_no_keys_yet_the_wait_is_bounded_and_a_dead_url_is_not_stormed(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_value, "WAIT", 0.01)
    source = Source(document(jwk("EdDSA")))
    source.opened.clear()
    checks = verifier(source, clock)
    with pytest.raises(Unavailable):
        await soon(checks.verify(token()))
    source.opened.set()
    dead = Source(OSError())
    checks = verifier(dead, clock)
    for _ in range(20):
        with pytest.raises(Unavailable):
            await checks.verify(token())
    assert dead.calls == 1
    clock.advance(remote_value.FIRST_PAUSE)
    with pytest.raises(Unavailable):
        await checks.verify(token())
    assert dead.calls == 2


async def test_forged_key_ids_cause_one_fetch_in_ten_seconds(clock: FakeClock) -> None:
    source = Source(document(jwk("EdDSA")))
    checks = verifier(source, clock)
    for expected in (1, 2):
        for number in range(30):
            with pytest.raises(TokenInvalid):
                await soon(checks.verify(token(kid=f"forged {number}")))
        # Neither does a bad signature of a known key.
        with pytest.raises(TokenInvalid):
            await checks.verify(token()[:-4] + "AAAA")
        assert source.calls == expected
        clock.advance(remote_value.MINIMUM_PAUSE)


async def test_a_new_key_is_found_at_once_when_the_last_fetch_is_not_recent(
    clock: FakeClock,
) -> None:
    source = Source(document(jwk("EdDSA", "old")), document(jwk("EdDSA", "old"), jwk("EdDSA")))
    checks = verifier(source, clock)
    await checks.verify(token(kid="old"))
    clock.advance(remote_value.MINIMUM_PAUSE)
    assert (await checks.verify(token())).user_id == "ada"


async def test_while_the_url_is_down_known_keys_verify_and_an_unknown_one_ends_nothing(
    clock: FakeClock,
) -> None:
    source = Source(document(jwk("EdDSA")), OSError())
    checks = verifier(source, clock)
    await checks.verify(token())
    for _ in range(5):
        clock.advance(1000)
        assert (await checks.verify(token())).user_id == "ada"
        # INVALID_TOKEN would end the session of a person whose key we could not fetch.
        with pytest.raises(Unavailable):
            await checks.verify(token(kid="new"))


async def test_a_clock_that_is_set_back_does_not_stop_the_fetches(clock: FakeClock) -> None:
    source = Source(document(jwk("EdDSA", "old")), document(jwk("EdDSA")))
    checks = verifier(source, clock)
    await checks.verify(token(kid="old"))
    clock.advance(-50_000)
    with pytest.raises(Exception, match="not valid yet"):  # Known now, and issued in the future.
        await checks.verify(token())
    assert source.calls == 2


@pytest.mark.parametrize(
    ("control", "seconds"),
    [
        ("public, max-age=600", 600), ("max-age=0", 10), ("max-age=99999999", 3600),
        ("no-store", 10), ("no-cache, max-age=600", 10), ("max-age=x", 300), ("", 300),
        ("s-maxage=9", 300), ("MAX-AGE = 20", 20),
    ],
)  # fmt: skip
async def test_the_documents_max_age_is_respected_within_bounds(
    clock: FakeClock, control: str, seconds: float
) -> None:
    source = Source(Document(document(jwk("EdDSA")), {"Cache-Control": control}))
    checks = verifier(source, clock)
    await checks.verify(token())
    clock.advance(seconds - 1)
    await checks.verify(token())
    await asyncio.sleep(0)
    assert source.calls == 1
    clock.advance(1)
    await checks.verify(token())
    await settled(lambda: source.calls == 2)


async def test_retry_after_is_respected_within_bounds(clock: FakeClock) -> None:
    for asked, seconds in ((600, 600), (1, 10), (10**8, 3600)):
        source = Source(document(jwk("EdDSA")), RetryLaterError(asked))
        checks = verifier(source, clock)
        await checks.verify(token())
        clock.advance(300)
        with pytest.raises(Unavailable):
            await checks.verify(token(kid="new"))
        assert source.calls == 2
        clock.advance(seconds - 1)
        with pytest.raises(Unavailable):
            await checks.verify(token(kid="new"))
        assert source.calls == 2
        clock.advance(1)
        with pytest.raises(Unavailable):
            await checks.verify(token(kid="new"))
        assert source.calls == 3
        clock.wall = START


async def test_an_unchanged_document_keeps_the_cache_of_verified_tokens(clock: FakeClock) -> None:
    source = Source(document(jwk("EdDSA")))
    checks = verifier(source, clock)
    await checks.verify(token())
    key = checks._keys.find("one", "EdDSA")  # noqa: SLF001 - the cache holds this object
    clock.advance(301)
    await checks.verify(token())
    await settled(lambda: source.calls == 2)
    assert checks._keys.find("one", "EdDSA") is key  # noqa: SLF001


def test_a_verifier_survives_the_loop_in_which_it_fetched(clock: FakeClock) -> None:
    class Never:
        calls = 0

        async def __call__(self, _address: str) -> bytes:
            self.calls += 1
            if self.calls == 1:
                await asyncio.Event().wait()
            return document(jwk("EdDSA"))

    checks = verifier(Never(), clock)

    async def first() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(checks.verify(token()), 0.05)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(first())
    loop.close()  # With its fetch still running, as a thread of synchronous code may do.
    clock.advance(20)
    assert asyncio.run(checks.verify(token())).user_id == "ada"


Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def serving(answer: Callable[[str], Answer]) -> Iterator[str]:
    """A server on loopback; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_a_real_url_is_fetched_with_its_headers(clock: FakeClock) -> None:
    good = document(jwk("EdDSA"))
    with serving(lambda _path: (200, {"Cache-Control": "max-age=77"}, good)) as url:
        fetched = get_document(url)
        assert (fetched.content, fetched.headers["Cache-Control"]) == (good, "max-age=77")
        assert (await JWKSVerifier(url, now=clock).verify(token())).user_id == "ada"


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"Location": "/elsewhere"}, b""), (307, {"Location": "http://127.0.0.1:1/"}, b""),
        (404, {}, b"{}"), (500, {}, b""), (503, {"Retry-After": "soon"}, b""), (204, {}, b""),
        (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
        (200, {}, b'{"keys": [' + b" " * documents.MAXIMUM_BYTES + b"]}"),
        (200, {"Content-Length": "9999", "Connection": "close"}, b'{"keys": ['),
        (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"), (200, {}, b'{"keys": [], "keys": []}'),
        (200, {}, b"[]"), (200, {}, b"\xff"), (200, {}, b"[" * 60_000),
    ],
)  # fmt: skip
async def test_whatever_a_url_answers_is_an_outage_and_known_keys_stay(
    clock: FakeClock, status: int, headers: dict[str, str], body: bytes
) -> None:
    good, works = document(jwk("EdDSA")), [True]

    def answer(path: str) -> Answer:
        if works[0] or path == "/elsewhere":
            return 200, {}, good
        return status, headers, body

    with serving(answer) as url:
        checks = JWKSVerifier(f"{url}/keys", now=clock)
        await checks.verify(token())
        works[0] = False
        clock.advance(400)
        with pytest.raises(Unavailable):
            await checks.verify(token(kid="new"))
        assert (await checks.verify(token())).user_id == "ada"
        with pytest.raises(Unavailable):
            await JWKSVerifier(f"{url}/keys", now=clock).verify(token())


async def test_a_urls_retry_after_is_read(clock: FakeClock) -> None:
    with (
        serving(lambda _path: (429, {"Retry-After": "120"}, b"")) as url,
        pytest.raises(RetryLaterError) as caught,
    ):
        get_document(url)
    assert caught.value.seconds == 120
    with pytest.raises(Unavailable):  # Nothing there speaks TLS, and nobody listens.
        await JWKSVerifier("https://127.0.0.1:1/", now=clock).verify(token())


async def test_a_url_that_sends_a_byte_now_and_then_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "FETCH_TIMEOUT", -1)  # No time is left at the first chunk.
    with (
        serving(lambda _path: (200, {}, document(jwk("EdDSA")))) as url,
        pytest.raises(ValueError, match="too slow"),
    ):
        get_document(url)


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA", "ES256"])
async def test_a_new_key_signs_only_after_every_cached_copy_of_the_public_keys_has_aged(
    start: StartServer, tmp_path: Path, algorithm: Any
) -> None:
    node = await start(algorithm=algorithm)
    response = await node.http.get("/.well-known/jwks.json")
    published = float(response.headers["cache-control"].rpartition("max-age=")[2])
    delay = key_file.activation_delay(algorithm)
    assert delay == 10 if algorithm == "HS256" else delay >= published + key_file.ACTIVATION_DELAY
    file = str(tmp_path / "new.json")
    done = CliRunner().invoke(
        main, ["key", "rotate", "--algorithm", algorithm, "--keys-file", file]
    )
    assert done.stdout.endswith(f"signs in {delay:g} s\n")
    key = key_file.read(Path(file)).keys[-1]
    assert key.active_from is not None
    assert key.active_from - time.time() > delay - 60
