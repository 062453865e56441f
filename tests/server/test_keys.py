"""The key ring: rotation without a restart, public keys, and the cache of verified tokens."""

import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from tests.server.harness import StartServer, TestServer
from tests.support.clock import START, FakeClock
from unexpired_server.cli import main
from unexpired_server.errors import TokenExpired, TokenInvalid, Unavailable
from unexpired_server.settings import Algorithm, Settings, SettingsError, load_settings
from unexpired_server.tokens import base64url, key_file
from unexpired_server.tokens.access_tokens import AccessTokens, OwnTokens
from unexpired_server.tokens.jwks_verifier import JWKSVerifier
from unexpired_server.tokens.jws import parse_compact
from unexpired_server.tokens.keys import (
    Key,
    VerifyingKey,
    load_ring,
    reload_ring,
    ring_of,
)
from unexpired_server.tokens.opaque_tokens import OpaqueTokens
from unexpired_server.tokens.public_keys import NUMBER_BYTES, as_der

STORES = ("sqlite", "postgres")
ALGORITHMS = ("HS256", "EdDSA", "ES256")
DAY = 86_400


@pytest.fixture
def two_nodes_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes read their key file only when a test says so."""
    monkeypatch.setattr("unexpired_server.service.POLL_INTERVAL", 3600)


def look(node: TestServer) -> None:
    """Do what every node does each two seconds."""
    reload_ring(node.app.state.service.ring, node.settings.keys_file, node.clock())


def rotate(node: TestServer, seconds: float = key_file.ACTIVATION_DELAY) -> str:
    file, alg = node.settings.keys_file, node.settings.algorithm
    return key_file.rotate(file, alg, node.clock() + seconds).kid


def kid_of(token: str) -> object:
    return parse_compact(token).header["kid"]


@pytest.mark.usefixtures("two_nodes_keys")
async def test_two_nodes_rotate_without_a_restart_and_refuse_no_token_meanwhile(
    start: StartServer,
) -> None:
    here, there = await start(), await start()
    old = await here.sign_in()
    kid = rotate(here)
    look(here)
    # The new key is loaded but not active: a node that reads the file later would refuse it.
    assert kid_of((await here.refreshed(old["refreshToken"]))["accessToken"]) != kid
    here.clock.advance(key_file.ACTIVATION_DELAY / 2)
    look(there)
    here.clock.advance(key_file.ACTIVATION_DELAY / 2)
    look(here)
    new = await here.sign_in()
    assert kid_of(new["accessToken"]) == kid
    for node in (here, there):
        for one in (old, new):
            assert (await node.me(one["accessToken"])).status_code == 200
            assert (await node.refresh(one["refreshToken"])).status_code == 200


@pytest.mark.usefixtures("two_nodes_keys")
async def test_an_old_key_verifies_until_it_is_retired_and_then_its_tokens_are_refused(
    node: TestServer,
) -> None:
    old = await node.sign_in()
    old_kid = node.ring.active.kid
    rotate(node, 0)
    look(node)
    assert (await node.me(old["accessToken"])).status_code == 200
    renewed = await node.refreshed(old["refreshToken"])
    assert kid_of(renewed["accessToken"]) != old_kid
    key_file.retire(node.settings.keys_file, old_kid, node.clock())
    look(node)
    # Even a token that was just verified and is cached:
    assert (await node.me(old["accessToken"])).json()["code"] == "INVALID_TOKEN"
    assert (await node.refresh(old["refreshToken"])).json()["code"] == "REFRESH_INVALID"
    assert (await node.me(renewed["accessToken"])).status_code == 200
    assert (await node.refresh(renewed["refreshToken"])).status_code == 200


@pytest.mark.usefixtures("two_nodes_keys")
async def test_a_key_file_that_becomes_unusable_changes_nothing(
    node: TestServer, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = await node.sign_in()
    for content in ("", "{", '{"active": "x", "keys": []}'):
        node.settings.keys_file.write_text(content)
        look(node)
        assert (await node.me(tokens["accessToken"])).status_code == 200
    node.settings.keys_file.unlink()
    look(node)
    assert (await node.me(tokens["accessToken"])).status_code == 200
    assert not node.settings.keys_file.exists()
    assert caplog.text.count("keeping the present keys") == 4


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Run":
    monkeypatch.chdir(tmp_path)
    return Run()


class Run:
    def __call__(self, *args: str) -> Result:
        return CliRunner().invoke(main, args)


def test_keys_are_rotated_listed_and_retired_from_the_command_line(run: Run) -> None:
    assert run("key", "list").exit_code == 2
    first = run("key", "rotate", "--after", "10")
    kid, alg, *_ = first.stdout.split()
    assert alg == "HS256"
    (old, *says), (new, *also) = (one.split() for one in run("key", "list").stdout.splitlines())
    assert (new, says[-1], also[2:5]) == (kid, "signs", ["will", "sign", "from"])
    for refused, sentence in ((old, "signs, now or soon"), (new, "signs, now"), ("x", "no key x")):
        result = run("key", "retire", refused)
        assert (result.exit_code, result.stdout) == (2, "")
        assert sentence in result.stderr
    file = Path("data/keys.json")
    content = json.loads(file.read_text())
    assert all(key["secret"] not in first.stdout for key in content["keys"])
    content["keys"][1]["signs_from"] = 1.0
    file.write_text(json.dumps(content))
    listed = [one.split(maxsplit=3)[3] for one in run("key", "list").stdout.splitlines()]
    assert listed == ["can be retired", "signs"]
    assert run("key", "retire", old).stdout == f"Retired {old}.\n"
    assert [one.split()[0] for one in run("key", "list").stdout.splitlines()] == [new]


def test_a_key_with_valid_tokens_is_retired_only_with_the_flag(run: Run) -> None:
    run("key", "rotate")
    file = Path("data/keys.json")
    content = json.loads(file.read_text())
    content["keys"][1]["signs_from"] -= 60
    file.write_text(json.dumps(content))
    old = content["keys"][0]["kid"]
    assert "verifies until" in run("key", "list").stdout
    assert "are valid until" in run("key", "retire", old).stderr
    assert run("key", "retire", old, "--now").exit_code == 0


def test_another_algorithm_needs_a_key_for_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("key", "rotate")
    with pytest.raises(SettingsError, match="key rotate --algorithm EdDSA"):
        load_ring(load_settings(algorithm="EdDSA"))
    run("key", "rotate", "--algorithm", "EdDSA")
    ring = load_ring(load_settings(algorithm="EdDSA"))
    assert {key.alg for key in ring.keys.values()} == {"HS256", "EdDSA"}
    monkeypatch.setenv("UNEXPIRED_SECRET", key_file.new_secret())
    with pytest.raises(SettingsError, match="secret signs with HS256"):
        load_settings(algorithm="ES256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_algorithm_signs_verifies_and_refreshes(
    start: StartServer, algorithm: str
) -> None:
    node = await start(algorithm=algorithm)
    first = await node.sign_in()
    second = await node.refreshed(first["refreshToken"])
    for one in (first, second):
        assert (await node.me(one["accessToken"])).status_code == 200
        assert parse_compact(one["accessToken"]).header["alg"] == algorithm
    tampered = second["accessToken"][:-3] + "AAA"
    assert (await node.me(tampered)).json()["code"] == "INVALID_TOKEN"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_the_jwk_set_has_public_keys_and_no_private_part(
    start: StartServer, algorithm: str
) -> None:
    node = await start(algorithm=algorithm)
    response = await node.http.get("/.well-known/jwks.json")
    published = response.json()["keys"]
    assert [key["alg"] for key in published] == ([] if algorithm == "HS256" else [algorithm])
    for key in published:
        assert key.keys() <= {"kty", "crv", "x", "y", "kid", "alg", "use"}
        assert key["kid"] == node.ring.active.kid
    assert "max-age" in response.headers["cache-control"]


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
async def test_a_public_key_cannot_be_used_as_an_hmac_secret(
    start: StartServer, algorithm: str
) -> None:
    node = await start(algorithm=algorithm)
    public = json.dumps((await node.http.get("/.well-known/jwks.json")).json()["keys"][0])
    header = node.header()  # HS256, with the id of a key for another algorithm.
    for secret in (public.encode(), node.ring.active.secret):
        forged = node.forge(header=header, secret=secret)
        assert await node.code(forged) == (403, "INVALID_TOKEN")


def remote(node: TestServer, calls: list[str]) -> JWKSVerifier:
    async def fetch(address: str) -> bytes:
        calls.append(address)
        response: httpx.Response = await node.http.get(address)
        return response.content

    return JWKSVerifier("/.well-known/jwks.json", now=node.clock, fetch=fetch)


@pytest.mark.usefixtures("two_nodes_keys")
async def test_another_service_verifies_with_only_the_url_of_the_public_keys(
    start: StartServer,
) -> None:
    node, calls = await start(algorithm="EdDSA"), []  # type: ignore[var-annotated]
    verifier = remote(node, calls)
    first = await node.sign_in()
    for _ in range(10):
        assert (await verifier.verify(first["accessToken"])).user_id == first["user"]["id"]
    for bad in ("x", first["refreshToken"], first["accessToken"][:-3] + "AAA"):
        with pytest.raises(TokenInvalid):
            await verifier.verify(bad)
    assert len(calls) == 1
    rotate(node, 0)
    look(node)
    node.clock.advance(11)
    assert (await verifier.verify((await node.sign_in())["accessToken"])).user_id
    assert len(calls) == 2
    node.clock.advance(950)
    with pytest.raises(TokenExpired):
        await verifier.verify(first["accessToken"])


async def test_the_jwks_verifier_survives_an_outage_and_invalid_documents() -> None:
    clock, answers = FakeClock(), [b"not json", b'{"keys": 5}', b'{"keys": [5, {"alg": "HS256"}]}']

    async def fetch(_address: str) -> bytes:
        if not answers:
            raise OSError
        return answers.pop(0)

    verifier = JWKSVerifier("https://x", now=clock, fetch=fetch)
    for expected in (Unavailable, Unavailable, TokenInvalid, TokenInvalid):
        with pytest.raises(expected):
            await verifier.verify("a.b.c")
        clock.advance(400)
    with pytest.raises(Unavailable):
        await JWKSVerifier("file:///etc/passwd").verify("a.b.c")


class Counted:
    """Counts how often a signature is really verified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        original = VerifyingKey.verifies

        def verifies(key: VerifyingKey, message: bytes, signature: bytes) -> bool:
            self.times += 1
            return original(key, message, signature)

        monkeypatch.setattr(VerifyingKey, "verifies", verifies)


async def test_a_cached_token_needs_no_signature_check_but_its_time_is_checked(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(monkeypatch)
    one, other = await node.sign_in(), await node.sign_in()
    for _ in range(5):
        assert (await node.me(one["accessToken"])).status_code == 200
        assert (await node.me(other["accessToken"])).status_code == 200
    assert counted.times == 2
    await node.http.post("/api/logout", json={"refreshToken": one["refreshToken"]})
    assert (await node.me(one["accessToken"])).json()["code"] == "SESSION_REVOKED"
    node.clock.advance(960)
    assert (await node.me(other["accessToken"])).json()["code"] == "TOKEN_EXPIRED"
    assert counted.times == 2


async def test_the_cache_is_bounded_and_holds_only_valid_tokens(
    node: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: AccessTokens = node.app.state.service.access_tokens
    monkeypatch.setattr(service, "_rules", OwnTokens(cache_size=3))
    issued = [(await node.sign_in())["accessToken"] for _ in range(5)]
    for token in issued:
        await node.me(token)
        await node.me(token[:-3] + "AAA")
        await node.me("x")
    assert list(service._cache) == issued[2:]  # noqa: SLF001 - its size is the point
    counted = Counted(monkeypatch)
    await node.me(issued[4])
    await node.me(issued[0])
    assert counted.times == 1


def test_no_repr_contains_a_private_key(tmp_path: Path) -> None:
    ring = load_ring(Settings(keys_file=tmp_path / "k.json", algorithm="EdDSA"))
    file = key_file.read(tmp_path / "k.json")
    for text in (repr(ring), repr(file), repr(ring.active.verifying), str(file.keys[0])):
        assert file.keys[0].secret not in text
        assert repr(ring.active.secret)[2:-1] not in text


def key_for(alg: Algorithm) -> Key:
    return Key("ab" * 8, base64url.decode(key_file.new_entry(alg).secret), alg)


def private_of(key: Key) -> Any:
    return load_der_private_key(key.secret, None) if key.is_public else key.secret


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_a_key_signs_is_what_pyjwt_would_write(alg: Algorithm) -> None:
    key = key_for(alg)
    claims = {"iss": "é/ü", "exp": 2**33, "aud": ["x", "y"], "deep": {"b": [None, 1.5], "a": True}}
    for typ in ("at+jwt", "JWT", "at+jwt"):
        token = key.sign(claims, typ)
        headers = {"kid": key.kid, "typ": typ}
        expected = jwt.encode(claims, private_of(key), algorithm=alg, headers=headers)
        message = token.rpartition(".")[0]
        assert message == expected.rpartition(".")[0]
        # A signature by ES256 contains a random number.
        assert alg == "ES256" or token == expected
        complete = jwt.decode_complete(
            token, key.verifying.material, algorithms=[alg], audience="x"
        )
        assert complete["payload"] == claims
        assert complete["header"] == {"alg": alg, **headers}


def test_every_signature_by_es256_has_its_64_bytes() -> None:
    """One in 128 has a number with a leading zero byte."""
    key = key_for("ES256")
    for number in range(1000):
        token = key.sign({"n": number}, "JWT")
        message, _, signature = token.rpartition(".")
        assert len(base64url.decode(signature)) == 64
        assert key.verifying.verifies(message.encode(), base64url.decode(signature))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_no_repr_of_a_key_that_has_signed_contains_it(alg: Algorithm) -> None:
    key = key_for(alg)
    key.sign({}, "JWT")
    derived = key.derive("a purpose")
    hidden = [key._signature, key._headers, key.verifying]  # noqa: SLF001 - a debugger shows them
    for text in map(repr, (key, key.sign, key.derive, ring_of(key), *hidden)):
        for raw in (key.secret, derived):
            assert repr(raw)[2:-1] not in text
            assert raw.hex() not in text


def opaque_token_of(secret: bytes) -> str:
    derived = hmac.digest(secret, b"unexpired a purpose", "sha256")
    body = bytes.fromhex("ab" * 8) + b"content"
    return "x." + base64url.encode(body + hmac.digest(derived, b"x." + body, "sha256"))


def test_each_kind_of_token_and_each_key_has_its_own_mac_and_derives_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = (Key("ab" * 8, bytes([number]) * 32) for number in (1, 2))
    ring = ring_of(one)
    tokens, others = (
        OpaqueTokens(ring, prefix="x.", purpose=purpose, length=7)
        for purpose in ("a purpose", "another purpose")
    )
    for _ in range(2):
        assert tokens.write(b"content") == opaque_token_of(one.secret)
        assert others.read(tokens.write(b"content")) is None
    used: list[bytes] = []
    digest = hmac.digest

    def noted(key: bytes, message: bytes, name: str) -> bytes:
        used.append(key)
        return digest(key, message, name)

    monkeypatch.setattr(hmac, "digest", noted)
    assert tokens.read(tokens.write(b"content")) == b"content"
    assert len(used) == 2
    assert one.secret not in used
    ring.replace_with(ring_of(two))
    assert tokens.write(b"content") == opaque_token_of(two.secret)
    assert tokens.read(opaque_token_of(one.secret)) is None


@pytest.mark.parametrize("other", ["EdDSA", "P-384"])
def test_a_key_of_another_kind_than_its_algorithm_is_refused_when_it_is_read(
    tmp_path: Path, other: str
) -> None:
    file = tmp_path / "k.json"
    key_file.create(file, "ES256")
    entry = key_file.read(file).keys[0]
    wrong = pkcs8_p384() if other == "P-384" else key_file.new_entry("EdDSA").secret
    file.write_text(file.read_text().replace(entry.secret, wrong))
    with pytest.raises(SettingsError, match="a key is damaged"):
        load_ring(Settings(keys_file=file, algorithm="ES256"))


def pkcs8_p384() -> str:
    private = generate_private_key(SECP384R1())
    return base64url.encode(
        private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    )


def test_a_verifier_uses_the_algorithm_of_the_key_and_not_of_the_header() -> None:
    key = Key("ab" * 8, bytes(range(7, 39)))
    tokens_of = AccessTokens(ring_of(key), Settings(), lambda: START)
    good = tokens_of.issue("0" * 32, "1" * 32, 900).token
    assert tokens_of.verify(good).user_id == "0" * 32
    es256 = Key("ab" * 8, load_es256(), "ES256")
    with pytest.raises(TokenInvalid):
        AccessTokens(ring_of(es256), Settings(), lambda: START).verify(good)


def load_es256() -> bytes:
    return base64url.decode(key_file.new_entry("ES256").secret)


def test_a_file_of_an_earlier_version_is_read_and_its_member_names_stay(tmp_path: Path) -> None:
    """Nodes of two versions may share a file, so the stored name of ``active_from`` is fixed."""
    file = tmp_path / "keys.json"
    entries = [
        {"kid": kid * 8, "alg": "HS256", "created": "", "secret": key_file.new_secret()}
        for kid in ("ab", "cd")
    ]
    entries[1]["signs_from"] = 5.0  # type: ignore[assignment]
    file.write_text(json.dumps({"active": "ab" * 8, "keys": entries}))
    file.chmod(0o600)
    assert key_file.read(file).keys[1].active_from == 5
    assert (key_file.read(file).signing(4), key_file.read(file).signing(6)) == ("ab" * 8, "cd" * 8)
    key_file.rotate(file, "HS256", 60)
    stored = json.loads(file.read_text())["keys"]
    assert [key.get("signs_from") for key in stored] == [None, 5, 60]
    assert set(stored[2]) == {"kid", "alg", "created", "secret", "signs_from"}


@pytest.mark.parametrize("second", [0x00, 0x01, 0x7F, 0x80, 0xFF])
@pytest.mark.parametrize("first", [0x00, 0x01, 0x7F, 0x80, 0xFF])
@pytest.mark.parametrize("rest", [0x00, 0x80, 0xFF])
def test_an_es256_signature_is_written_as_cryptography_writes_it(
    first: int, second: int, rest: int
) -> None:
    r, s = (bytes([one]) + bytes([rest]) * (NUMBER_BYTES - 1) for one in (first, second))
    written = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    assert as_der(r + s) == written
