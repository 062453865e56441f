"""Other people's implementations of RFC 9449, in a Node.js of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

PROGRAM = Path(__file__).parent / "judge.mjs"
PACKAGES = ("jose", "oauth4webapi", "dpop", "oidc-provider")
TIMEOUT = 60.0


class Refused(Exception):  # noqa: N818 - what a judge does
    """A judge does not accept what it was shown; the message says why."""


class Judges:
    """npm's jose, oauth4webapi and dpop."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - our own program
            [node(), str(PROGRAM)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> None:
        """End the process."""
        self._child.communicate(timeout=TIMEOUT)

    def ask(self, question: str, **parameters: Any) -> dict[str, Any]:
        """Return a judge's answer.

        Args:
            question: Its name in ``judge.mjs``.
            **parameters: What is asked about; None is left out.

        Raises:
            Refused: It does not accept what it was shown.
        """
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        given = {name: value for name, value in parameters.items() if value is not None}
        self._child.stdin.write(f"{json.dumps({'ask': question, **given})}\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, "the judges' process has ended"
        answer: dict[str, Any] = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer


def node() -> str:
    """Return the Node.js that has the judges' packages; skip the test where there is none."""
    program = shutil.which("node")
    missing = [name for name in PACKAGES if not (ROOT / "node_modules" / name).exists()]
    if program is None or missing:
        pytest.skip(f"needs Node.js and the npm packages {', '.join(missing)}: make setup")
    return program
