"""The server as a page runs it: called without a network, without threads and compiled packages."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from server.in_page.hasher import PBKDF2Hasher, derive
from server.in_page.p256 import N, P, proof_key
from server.in_page.server import start
from tests.support.paths import ROOT
from unexpired_server import Database
from unexpired_server.tokens import base64url
from unexpired_server.tokens.key_file import new_secret

# What has no build for a Python in a browser, or is of no use there.
ABSENT = ("argon2", "cryptography", "greenlet", "aiosqlite", "alembic", "uvicorn", "httptools")

STORY = """
import asyncio, json, sys
from pathlib import Path

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in sys.argv[3:]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from server.in_page.server import start

async def main():
    database, empty = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()

    async def call(method, path, data=None, token=None):
        headers = [("content-type", "application/json"), ("user-agent", "Firefox")]
        headers += [("authorization", f"Bearer {token}")] if token else []
        body = json.dumps(data).encode() if data else b""
        status, _, content = await server.respond(method, f"http://host{path}", headers, body)
        statuses.append(status)
        return json.loads(content or b"{}")

    statuses, secret = [], "47a1Mzr0Lz9Fb3iWQm2rVdTq8yXnUs5KeP6jHcGwZs1"
    server = await start(database, empty, empty, secret)
    await call("POST", "/api/login", {"username": "demo", "password": "wrong"})
    tokens = await call("POST", "/api/login", {"username": "demo", "password": "demo"})
    await call("POST", "/api/notes", {"text": "kept"}, tokens["accessToken"])
    tokens = await call("POST", "/api/refresh", {"refreshToken": tokens["refreshToken"]})
    kept = server.content()
    await server.stop()

    server = await start(database.with_name("second"), kept, empty, secret)
    notes = await call("GET", "/api/notes", token=tokens["accessToken"])
    await call("POST", "/api/logout-all", token=tokens["accessToken"])
    await call("GET", "/api/me", token=tokens["accessToken"])
    await server.stop()
    print(json.dumps([statuses, [note["text"] for note in notes["notes"]]]))

asyncio.run(main())
"""


@pytest.fixture
async def empty(tmp_path: Path) -> Path:
    """A database with this version's tables."""
    path = tmp_path / "empty.sqlite3"
    database = Database(f"sqlite:///{path}")
    await database.migrate()
    await database.close()
    return path


def test_a_python_without_compiled_packages_serves_and_keeps_its_database(
    tmp_path: Path, empty: Path
) -> None:
    command = (sys.executable, "-c", STORY, tmp_path / "data.sqlite3", empty, *ABSENT)
    done = subprocess.run(  # noqa: S603 - our own program
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    statuses, notes = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [401, 200, 201, 200, 200, 204, 401]
    assert notes == ["kept"]


def read(path: Path) -> bytes:
    return path.read_bytes()


def unusable(database: Path, content: str) -> bytes:
    with closing(sqlite3.connect(database)) as connection:
        if content == "another version's":
            connection.execute("UPDATE alembic_version SET version_num = '0001'")
            connection.commit()
        whole = connection.serialize()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        find = "SELECT rootpage FROM sqlite_master WHERE name = 'users'"
        (page,) = connection.execute(find).fetchone()
    before, after = whole[: (page - 1) * size], whole[page * size :]
    damaged = before + b"x" * size + after  # It opens, and says which version it has.
    others: dict[str, bytes] = {"damaged": damaged, "no database": b"x" * size, "empty": b""}
    return others.get(content, whole)


@pytest.mark.parametrize("content", ["another version's", "damaged", "no database", "empty"])
async def test_what_cannot_be_used_gives_way_to_an_empty_database(
    tmp_path: Path, empty: Path, content: str
) -> None:
    tables, kept = read(empty), unusable(empty, content)
    server = await start(tmp_path / "data.sqlite3", kept, tables, new_secret())
    body = json.dumps({"username": "demo", "password": "demo"}).encode()
    headers = [("content-type", "application/json")]
    status, _, _ = await server.respond("POST", "http://host/api/login", headers, body)
    await server.stop()
    assert status == 200


def test_passwords_are_hashed_as_the_standard_has_it() -> None:
    assert derive("pässword", b"salt", 300) == hashlib.pbkdf2_hmac(
        "sha256", "pässword".encode(), b"salt", 300
    )
    hasher = PBKDF2Hasher()
    known = hasher.hash("demo")
    assert hasher.hash("demo") != known
    assert hasher.matches("demo", known)
    assert not hasher.matches("Demo", known)
    assert not any(hasher.matches("demo", bad) for bad in ("", "demo", "zz$zz", "aa$bb$cc"))
    assert len(hasher.hash_of_nothing()) == len(known)


def jwk_of(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {name: encoded(number) for name, number in (("x", numbers.x), ("y", numbers.y))}


def encoded(number: int) -> str:
    return base64url.encode(number.to_bytes(32, "big"))


def signed(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_proofs_are_verified_as_by_cryptography() -> None:
    """Also by the keys 1 and n - 1, whose points are the generator and its opposite."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(5)]
    keys += [ec.derive_private_key(number, ec.SECP256R1()) for number in (1, 2, N - 1)]
    for key in keys:
        verifies = proof_key(jwk_of(key.public_key()))
        for message in (b"", b"a message", b"x" * 1000):
            signature = signed(key, message)
            assert verifies(message, signature)
            assert not verifies(message + b"!", signature)
            assert not verifies(message, bytes([signature[0] ^ 1]) + signature[1:])
            assert not verifies(message, signature[:-1])
            assert not verifies(message, signature[:32] + bytes(32))
            # The same number modulo n is not the same signature.
            assert not verifies(message, (N).to_bytes(32, "big") + signature[32:])


def test_only_points_of_the_curve_are_keys() -> None:
    good = jwk_of(ec.generate_private_key(ec.SECP256R1()).public_key())
    for bad in (
        {"y": good["x"]},
        {"x": encoded(P)},
        {"x": good["x"][:-2]},
        {"x": f"{good['x']}AA"},
    ):
        with pytest.raises(ValueError, match=r"coordinate|curve|base64"):
            proof_key(good | bad)
