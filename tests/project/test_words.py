"""Words that the project has retired do not come back, neither in names nor in prose.

One noun for each thing (request, response, message), plain verbs, and the field's own names. To
retire a word, add it here with what to write instead.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

KINDS = {".py", ".pyi", ".md", ".js", ".mjs", ".html", ".css", ".toml", ".yml", ".sh"}
NAMES = {"Makefile", "run"}
EXEMPT = (
    "CHANGELOG.md",  # Lists old names beside the new ones.
    "benchmarks/results/",  # Written by the benchmarks.
    "tests/project/test_words.py",
)

PROSE = {
    "whoever": "anyone who …, or the person's or program's name",
    "anew": "again",
    "for ever": "forever, or how long",
    "alone": "only",
    "(is|are|was|were|be|been) told": "is shown, is logged, receives",
    "(hears?|heard|unheard)": "learns, receives, is notified; read aloud",
    "nobody'?s business": "what happens instead",
    "no answer is no end": "an outage never signs anyone out",
    "so many seconds": "for `seconds`",
    "(sits?|sat|sitting) out": "waits through",
    "to sleep with": "into a snapshot",
    "hands off": "send unchanged",
    "heed(s|ed|ing)?": "obeys; redirect_if_signed_out",
    "look(s|ed)? after": "maintains",
    "repl(y|ies)": "response",
    "(failed|many|more) tries": "attempts",
    "catalogues?": "translations",
    "luck": "jitter",
    "patience": "max_backoff, or a timeout",
    "verdicts?": "outcome",
    "strangers?": "foreign servers",
    "laborator(y|ies)": "browser library",
    "comfort": "hint",
    "troubles": "error messages",
    "hasty": "too frequent",
}
"""Words and phrases; a space matches any blanks, a line's end, or the underscore of a name."""

IDENTIFIERS = {
    "[a-z]*keepers?": "session_manager, SessionManager",
    "relay": "worker_messages",
    "tokens_from": "parse_token_response",
    "plain_request": "build_request",
    "with_params": "merge_params",
    "calloptions": "RequestOptions",
    "is_superseded": "was_replaced",
    "told_in": "errors_shown_in",
    "_told": "_translated",
    "_judge": "_classify",
    "_renewed": "_refresh_until_deadline",
    "switchingtransport": "JSPITransport",
    "porttransport": "FetchAdapterTransport",
    "_oneworld": "_WrongClientAuth",
    "take_apart": "parse_compact",
    "_genuine": "_VerifiedToken",
    "remoteverifier": "JWKSVerifier",
    "head_start": "ACTIVATION_DELAY",
    "take_over": "replace_with",
    "tidy_seconds": "PURGE_INTERVAL",
    "forget_ended": "purge_ended",
    "lastnet": "ServerErrorMiddleware",
    "boundedhttp": "BoundedHttpToolsProtocol",
    "securityheaders": "SecurityHeadersMiddleware",
    "device_names": "user_agent",
    r"start\.mjs": "load_pyodide.mjs",
    r"unexpired[./](client|surface|listeners|bodies|replies|retry|sentences|process)\b(?!\()": (
        "async_client, base_client, events, content, token_response, backoff, sign_in_redirect,"
        " desktop"
    ),
    r"(from|import) server\.(?!(app|in_page|notes|notes_routes|page)\b)\w+": "unexpired_server",
}
"""Names, in lower case: they are matched whole, in any case."""

BLANKS = r"[\s#*/_]+"  # Also between two lines of a comment.


INSTEAD = {
    re.compile(words.replace(" ", BLANKS)): instead
    for words, instead in (PROSE | IDENTIFIERS).items()
}
# One pattern for all: one pass over each file, which is ten times faster than one for each word.
RETIRED = re.compile(f"(?<![a-z])({'|'.join(one.pattern for one in INSTEAD)})(?![a-z])")


def found(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each retired word in a text: its line, the word, and what to write instead."""
    lowered = text.lower()
    for match in RETIRED.finditer(lowered):
        line = lowered.count("\n", 0, match.start()) + 1
        instead = next(instead for one, instead in INSTEAD.items() if one.fullmatch(match[0]))
        yield line, match[0], instead


def own_files() -> list[Path]:
    """Return every file that people of this project write, committed or not."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("only a clone knows which files are the project's own")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    names = (name for name in listed.stdout.split("\0") if name and not name.startswith(EXEMPT))
    paths = (ROOT / name for name in names)
    return [
        path for path in paths if (path.suffix in KINDS or path.name in NAMES) and path.is_file()
    ]


def test_no_retired_word_is_in_a_name_or_in_prose() -> None:
    """Each complaint says where the word is, and what to write instead."""
    complaints = [
        f"{path.relative_to(ROOT)}:{line}: “{' '.join(word.split())}”: write {instead}"
        for path in own_files()
        for line, word, instead in found(path.read_text("utf-8"))
    ]
    assert not complaints, "\n".join(["retired words:", *complaints])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Lead whoever\ncalls to sign-in.", "whoever"),
        ("# cached for\n    # ever", "for\n    # ever"),
        ("def start_anew(self): ...", "anew"),
        ("self._keeper = Keeper()", "keeper"),
        ("from server.backend import BearerBackend", "from server.backend"),
        ("import unexpired.relay", "relay"),
        ("REPLIES = 2", "replies"),
    ],
)
def test_a_retired_word_is_found(text: str, word: str) -> None:
    """In prose, across lines of a comment, and inside a name."""
    assert word in {one for _, one, _ in found(text)}


@pytest.mark.parametrize(
    "text",
    [
        "cached forever",
        "It was renewed.",
        "class BadReply(UnexpiredError): ...",
        "from server.app import create_app",
        "unexpired.client('x')",
        "weaknesses",
    ],
)
def test_other_words_are_left_unchanged(text: str) -> None:
    """Names of the public contract, and words that merely contain a retired one."""
    assert list(found(text)) == []
