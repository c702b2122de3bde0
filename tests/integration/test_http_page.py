"""The talk page: its files, and the policy under which browsers run it."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.http_stack import Stack, running_stack
from tests.integration.test_http_bad_input import refused
from tests.timing import scaled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("page")
    assets = folder / "web" / "assets"
    assets.mkdir(parents=True)
    (folder / "web" / "index.html").write_text("<!doctype html><title>Talk</title>")
    (folder / "web" / "private.txt").write_text("canary")
    (folder / "canary.txt").write_text("canary")
    (assets / "index-abc123.js").write_text("export {};")
    (assets / "icon-abc123.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (assets / "link.txt").symlink_to(folder / "canary.txt")
    origins = "https://app.example,https://b.example:8443"
    with running_stack(folder, ASSISTANT_ALLOWED_ORIGINS=origins) as running:
        yield running


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def test_index(stack: Stack, http: httpx.Client) -> None:
    """The page may run its own scripts and reach LiveKit and us; it is looked up anew each time."""
    answer = http.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    assert "<title>Talk</title>" in answer.text
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["content-security-policy"].split(";")
    )
    livekit = stack.livekit_url
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "media-src": "'self' blob:",
        "connect-src": f"'self' {livekit} {livekit.replace('ws://', 'http://')}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self' https://app.example https://b.example:8443",
    }
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["permissions-policy"].startswith("microphone=(self ")
    again = http.get("/", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code in {200, 304}


def test_assets(http: httpx.Client) -> None:
    """Files with hashes in their names are kept for good, under their right types."""
    script = http.get("/assets/index-abc123.js")
    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert http.get("/assets/icon-abc123.svg").headers["content-type"] == "image/svg+xml"
    refused(http.get("/assets/none.js"), 404, "not_found")
    refused(http.get("/assets/"), 404, "not_found")
    refused(http.get("/private.txt"), 404, "not_found")


def test_docs(http: httpx.Client) -> None:
    """People read the interface without a key, under a policy that lets nothing else in."""
    answer = http.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "/api/session/start" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../private.txt",
        "/assets/../../canary.txt",
        "/assets/%2e%2e/private.txt",
        "/assets/..%2fprivate.txt",
        "/assets/%2e%2e%2f%2e%2e%2fcanary.txt",
        "/assets/..%5cprivate.txt",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/link.txt",
        "/assets/index-abc123.js%00.txt",
        "/assets/" + "x" * 5000,
    ],
)
def test_no_traversal(stack: Stack, path: str) -> None:
    """Nothing outside the folder of assets can be read, by no spelling and by no link."""
    parts = urlsplit(stack.url)
    assert parts.port is not None
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection((parts.hostname or "", parts.port), scaled(10)) as connection:
        connection.sendall(request.encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400", b"HTTP/1.1 405"))
    assert b"canary" not in answer
    assert b"root:" not in answer


def test_not_built(stack: Stack, tmp_path: Path) -> None:
    """Before the page is built, the address says so; once it is, it is served."""
    with (
        stack.another_service(ASSISTANT_WEB_DIR=str(tmp_path / "dist")) as url,
        stack.client(url=url) as http,
    ):
        refused(http.get("/"), 404, "talk_page_missing")
        refused(http.get("/assets/a.js"), 404, "not_found")
        (tmp_path / "dist" / "assets").mkdir(parents=True)
        (tmp_path / "dist" / "index.html").write_text("<!doctype html>")
        (tmp_path / "dist" / "assets" / "a.js").write_text("")
        assert http.get("/").status_code == 200
        assert http.get("/assets/a.js").status_code == 200
