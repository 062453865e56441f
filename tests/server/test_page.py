"""The page's files and nothing beside them; CORS and security headers."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest

from server.app import PROJECT
from tests.server.harness import StartServer, TestServer
from unexpired_server.settings import Settings

ORIGIN = "https://app.example"


@pytest.fixture
def page_files(make_settings: Callable[..., Settings]) -> Path:
    folder = make_settings().page_dir
    assert folder
    for name in (
        "index.html", "pyscript.toml", "secret.txt", "server/app.py", "data/keys.json",
        ".git/config", "app/main.py", "app/style.css", "app/boot.js", "app/.env",
        "app/__pycache__/main.pyc", "app/unexpired/__init__.py", "vendor/pyodide/pyodide.mjs",
        "vendor/pyodide/pyodide.asm.wasm", "vendor/pyodide/python_stdlib.zip",
        "vendor/pyodide/pyodide-lock.json", "vendor/jwt.whl", "app/logo.svg", "vendor/odd.xyz",
        "assets/0123abcd/app/main.py", "assets/0123abcd/.env",
    ):  # fmt: skip
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {name}")
    (folder / "app" / "link").symlink_to(folder / "secret.txt")
    return folder


@pytest.mark.usefixtures("page_files")
@pytest.mark.parametrize("path", ["/", "/app/main.py"])
async def test_the_page_is_read_only(node: TestServer, path: str) -> None:
    response = await node.raw("POST", path)
    assert (response.status, response.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.usefixtures("page_files")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/pyscript.toml", "application/toml"),
        ("/app/main.py", "text/x-python; charset=utf-8"),
        ("/app/unexpired/__init__.py", "text/x-python; charset=utf-8"),
        ("/app/style.css", "text/css; charset=utf-8"),
        ("/app/boot.js", "text/javascript; charset=utf-8"),
        ("/app/logo.svg", "image/svg+xml"),
        ("/vendor/pyodide/pyodide.mjs", "text/javascript; charset=utf-8"),
        ("/vendor/pyodide/pyodide.asm.wasm", "application/wasm"),
        ("/vendor/pyodide/python_stdlib.zip", "application/zip"),
        ("/vendor/pyodide/pyodide-lock.json", "application/json"),
        ("/vendor/jwt.whl", "application/zip"),
        ("/vendor/odd.xyz", "application/octet-stream"),
    ],
)
async def test_the_pages_files_have_their_types_and_are_revalidated_by_etag(
    node: TestServer, path: str, kind: str
) -> None:
    response = await node.http.get(path)
    assert response.status_code == 200
    assert response.text == f"content of {path.lstrip('/') or 'index.html'}"
    assert response.headers["content-type"] == kind
    assert response.headers["cache-control"] == "no-cache"
    again = await node.http.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await node.http.head(path)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.usefixtures("page_files")
async def test_a_file_with_a_content_hash_is_immutable(node: TestServer) -> None:
    response = await node.http.get("/assets/0123abcd/app/main.py")
    assert response.text == "content of assets/0123abcd/app/main.py"
    assert response.headers["content-type"] == "text/x-python; charset=utf-8"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    missing = await node.http.get("/assets/0123abce/app/main.py")
    assert missing.status_code == 404
    assert "immutable" not in missing.headers["cache-control"]


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
async def test_an_immutable_file_is_sent_as_it_was_compressed(
    start: StartServer, page_files: Path, coding: str
) -> None:
    content = b"print('what anybody may see')\n" * 100
    file = page_files / "assets" / "0123abcd" / "long.py"
    forms = {"identity": content, "br": brotli.compress(content), "gzip": gzip.compress(content)}
    for name, form in zip(("long.py", "long.py.br", "long.py.gz"), forms.values(), strict=True):
        file.with_name(name).write_bytes(form)
    node = await start(page_dir=page_files)
    response = await node.raw(
        "GET", "/assets/0123abcd/long.py", [(b"accept-encoding", coding.encode())]
    )
    assert response.headers.get("content-encoding", "identity") == coding
    assert response.headers["vary"].lower() == "accept-encoding"
    assert response.headers["content-type"] == "text/x-python; charset=utf-8"
    assert response.body == forms[coding]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0, gzip;q=0.5", "gzip"),
        ("br;q=0", "identity"), ("brotli", "identity"), ("", "identity"),
        ("br;q=0.00, gzip", "gzip"), ("BR", "br"), ("*", "br"), ("*, br;q=0", "gzip"),
        ("gzip, *;q=0", "gzip"), ("br;q=much", "identity"), ("br ; q=0", "identity"),
    ],
)  # fmt: skip
async def test_a_file_of_the_runtime_is_sent_as_it_was_compressed(
    page_files: Path, node: TestServer, accepted: str, coding: str
) -> None:
    """It is revalidated by the ETag of that form, which no other form has."""
    content = b"what anybody may see " * 100
    file = page_files / "vendor" / "long.mjs"
    forms = {"identity": content, "br": brotli.compress(content), "gzip": gzip.compress(content)}
    for name, form in zip(("long.mjs", "long.mjs.br", "long.mjs.gz"), forms.values(), strict=True):
        file.with_name(name).write_bytes(form)
    headers = {"Accept-Encoding": accepted}
    response = await node.http.get("/vendor/long.mjs", headers=headers)
    assert response.headers.get("content-encoding", "identity") == coding
    assert response.headers["vary"].lower() == "accept-encoding"
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["content-length"] == str(len(forms[coding]))
    assert response.content == content
    headers["If-None-Match"] = response.headers["etag"]
    assert (await node.http.get("/vendor/long.mjs", headers=headers)).status_code == 304
    headers["Accept-Encoding"] = "gzip" if coding == "br" else "br"
    assert (await node.http.get("/vendor/long.mjs", headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/app/main.py"])
@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_the_pages_own_files_are_compressed_as_they_are_sent(
    page_files: Path, node: TestServer, path: str, coding: str
) -> None:
    content = b"what anybody may see " * 100
    (page_files / (path.strip("/") or "index.html")).write_bytes(content)
    headers = {"Accept-Encoding": coding}
    response = await node.http.get(path, headers=headers)
    assert response.headers.get("content-encoding", "identity") == coding
    assert response.headers["vary"].lower() == "accept-encoding"
    assert response.content == content
    assert (response.num_bytes_downloaded < len(content) / 10) == (coding == "gzip")
    headers["If-None-Match"] = response.headers["etag"]
    assert (await node.http.get(path, headers=headers)).status_code == 304


@pytest.mark.usefixtures("page_files")
@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt", "/server/app.py", "/data/keys.json", "/.git/config", "/index.html/..",
        "/app", "/app/", "/app/nothing.py", "/app/.env", "/app/__pycache__/main.pyc", "/app/link",
        "/app/../secret.txt", "/app/..%2fsecret.txt", "/app/../data/keys.json",
        "/vendor//etc/passwd",
        "/app//secret.txt", "/app/main.py/x", "/app/\x00", "/app/" + "x" * 5000, "/vendor/..",
        "/app/..\\secret.txt", "/pyscript.toml/", "/assets", "/assets/0123abcd",
        "/assets/0123abcd/.env", "/assets/../secret.txt", "/requirements.lock", "/favicon.ico",
    ],
)  # fmt: skip
async def test_nothing_else_of_the_folder_is_served(node: TestServer, path: str) -> None:
    for method in ("GET", "HEAD"):
        response = await node.raw(method, path)
        assert response.status == 404
        assert b"content of" not in response.body


@pytest.mark.parametrize("place", ["", "app/unexpired/browser/callback"])
@pytest.mark.parametrize("name", ["callback.html", "callback.js"])
async def test_the_callback_page_has_one_address_built_or_in_a_clone(
    start: StartServer, page_files: Path, place: str, name: str
) -> None:
    """Providers know it."""
    (page_files / place).mkdir(parents=True, exist_ok=True)
    (page_files / place / name).write_text(f"content of {name}")
    response = await (await start(page_dir=page_files)).http.get(f"/{name}")
    assert (response.status_code, response.text) == (200, f"content of {name}")


async def test_a_missing_page_is_not_found(node: TestServer) -> None:
    for path in ("/", "/app/main.py", "/vendor/x", "/pyscript.toml"):
        response = await node.http.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.usefixtures("page_files")
@pytest.mark.parametrize("value", ["bytes=0-1", "bytes=999999-", "bytes=x", "invalid"])
async def test_a_range_is_answered_with_the_whole_file(node: TestServer, value: str) -> None:
    for path in ("/", "/app/main.py"):
        response = await node.http.get(path, headers={"Range": value})
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("", "/#/login"),
        ("?next=/notes%3Fa%3D1&reason=expired", "/#/login?next=/notes%3Fa%3D1&reason=expired"),
        ("?next=//evil.example", "/#/login?next=//evil.example"),
        ("?\r\nX: y", "/#/login?X:%20y"),
    ],
)
async def test_the_login_path_redirects_into_the_page(
    node: TestServer, query: str, target: str
) -> None:
    response = await node.raw("GET", f"/login{query}", [(b"host", b"evil.example")])
    assert response.status == 303
    assert response.headers["location"] == target


@pytest.mark.usefixtures("page_files")
@pytest.mark.parametrize("path", ["/", "/app/main.py", "/api/me", "/nothing", "/login", "/healthz"])
async def test_every_response_has_the_security_headers(node: TestServer, path: str) -> None:
    headers = (await node.http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_the_pages_own_policy_is_sent_as_a_header_too(start: StartServer) -> None:
    node = await start(page_dir=PROJECT)
    page = (await node.http.get("/")).text
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"', page)
    assert "script-src 'self'" in policy
    for path in ("/", "/app/main.py", "/api/me"):
        sent = (await node.http.get(path)).headers["content-security-policy"]
        assert sent == f"{policy}; frame-ancestors 'none'"


async def test_a_policy_on_several_lines_is_sent_on_one(start: StartServer, tmp_path: Path) -> None:
    policy = "default-src 'none';\n    connect-src 'self'"
    markup = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    (tmp_path / "index.html").write_text(markup)
    node = await start(page_dir=tmp_path)
    sent = (await node.http.get("/")).headers["content-security-policy"]
    assert sent == "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"


PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
}


async def test_a_listed_origin_may_call_and_read_what_it_needs(start: StartServer) -> None:
    node = await start(cors_origins=ORIGIN)
    preflight = await node.http.options("/api/notes", headers=PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        asked = {**PREFLIGHT, "Access-Control-Request-Method": method}
        assert (await node.http.options("/api/notes", headers=asked)).status_code == 200
    for response in (
        await node.http.get("/api/me", headers={"Origin": ORIGIN}),
        await node.http.get("/api/nothing", headers={"Origin": ORIGIN}),
    ):
        assert response.headers["access-control-allow-origin"] == ORIGIN
        exposed = response.headers["access-control-expose-headers"]
        assert exposed == "WWW-Authenticate, Retry-After, DPoP-Nonce"
        assert "access-control-allow-credentials" not in response.headers


async def test_a_listed_origin_can_read_server_errors(
    start: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await start(cors_origins=ORIGIN)
    monkeypatch.setattr("unexpired_server.http.bodies._media_type", None)
    response = await node.http.post("/api/login", json={}, headers={"Origin": ORIGIN})
    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    "origin",
    [
        "null", "https://evil-app.example", "https://app.example.evil.example",
        "http://app.example", "https://app.example:8443", "https://sub.app.example", "*", "",
        "HTTPS://APP.EXAMPLE", "https://app.example/",
    ],
)  # fmt: skip
async def test_an_unlisted_origin_may_not_call(start: StartServer, origin: str) -> None:
    node = await start(cors_origins=ORIGIN)
    preflight = await node.http.options("/api/me", headers={**PREFLIGHT, "Origin": origin})
    assert (preflight.status_code, preflight.json()["code"]) == (400, "BAD_REQUEST")
    response = await node.http.get("/api/me", headers={"Origin": origin})
    for answer in (preflight, response):
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]


async def test_without_cors_origins_no_other_origin_may_call(node: TestServer) -> None:
    response = await node.http.options("/api/me", headers=PREFLIGHT)
    assert response.status_code == 405
    assert "access-control-allow-origin" not in response.headers
