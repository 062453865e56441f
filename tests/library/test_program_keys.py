"""The keys of programs, which are stored with their sessions."""

from __future__ import annotations

import json
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.binding_server import AsyncBindingServer, SyncBindingServer
from tests.support.clock import FakeClock
from tests.support.fake_server import API
from tests.support.provers import read_proof
from unexpired import AsyncClient, Client, Unreachable
from unexpired.desktop.keys import ProgramProver, SyncProgramProver
from unexpired.proofs import KeyLost, Proof, base64url, draft, signed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_a_key_is_its_own_handle_and_signs_proofs() -> None:
    prover = SyncProgramProver()
    handle = prover.create()
    assert handle is not None
    for _ in range(20):  # r and s have leading zeros now and then, and stay 32 bytes long.
        key = prover.open(handle)
        message = draft(Proof(handle), key.public, "GET", API, now=0, jti="1")
        signature = key.sign(message)
        assert len(signature) == 64
        assert read_proof(signed(message, signature)).header["jwk"] == key.public


async def test_the_two_clients_read_each_others_keys() -> None:
    handle = await ProgramProver().create()
    assert handle is not None
    opened = await ProgramProver().open(handle)
    assert opened.public == SyncProgramProver().open(handle).public
    assert len(await opened.sign(b"x")) == 64
    ProgramProver().forget(handle)
    SyncProgramProver().forget(handle)


def der(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return base64url(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize(
    "handle",
    [
        "a-pages-key",
        "A",
        "AAAA",
        der(ed25519.Ed25519PrivateKey.generate()),
        der(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["a page's", "no base64url", "no key", "Ed25519", "P-384"],
)
def test_what_is_no_key_of_a_program_is_lost(handle: str) -> None:
    with pytest.raises(KeyLost) as lost:
        SyncProgramProver().open(handle)
    assert lost.value.__cause__ is None


def test_without_the_library_a_program_has_no_keys_and_keeps_a_bound_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle = SyncProgramProver().create() or ""
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert SyncProgramProver().create() is None
    with pytest.raises(Unreachable) as unreadable:
        SyncProgramProver().open(handle)
    assert "pip install 'unexpired[desktop]'" in unreadable.value.__notes__[0]


def test_a_program_that_starts_again_continues_its_bound_session(home: Path) -> None:
    server = SyncBindingServer(FakeClock())
    Client.on_desktop(transport=server, clock=server.clock, base_url=API).sign_in("ada", "pw")
    again = Client.on_desktop(transport=server, clock=server.clock, base_url=API)
    again.refresh()
    assert again.diagnose()["bound"] is True
    (file,) = (home / "unexpired").glob("*.json")
    stored = json.loads(file.read_text())
    assert urlsafe_b64decode(stored["key"] + "==")
    assert stored["version"] == 2


async def test_an_async_program_continues_it_as_well() -> None:
    server = AsyncBindingServer(FakeClock())
    client = AsyncClient.on_desktop(transport=server, clock=server.clock, base_url=API)
    await client.sign_in("ada", "pw")
    again = AsyncClient.on_desktop(transport=server, clock=server.clock, base_url=API)
    await again.refresh()
    assert [proof is not None for _, proof in server.proofs] == [True, True]
