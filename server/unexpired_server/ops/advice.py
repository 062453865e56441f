"""What the log says of settings that are likely to be wrong: once for a node, whatever happens."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from unexpired_server.ops.metrics import SHARED_FOLDER

PREFIX = "advised-"

logger: logging.Logger = logging.getLogger("unexpired.server")


class Advice:
    """Logs each sentence once, even where several workers, or one that replaces another, give it.

    Workers know of each other by the folder that they share. Without one it is once a process.
    """

    def __init__(self) -> None:
        shared = os.environ.get(SHARED_FOLDER)
        self._folder = Path(shared) if shared else None
        self._given: set[str] = set()

    def give(self, sentence: str) -> None:
        """Log a sentence, unless that was done before."""
        if sentence in self._given:
            return
        self._given.add(sentence)
        if self._is_first(sentence):
            logger.warning(sentence)

    def _is_first(self, sentence: str) -> bool:
        if self._folder is None:
            return True
        name = hashlib.sha256(sentence.encode()).hexdigest()[:16]
        try:
            (self._folder / f"{PREFIX}{name}").touch(exist_ok=False)
        except FileExistsError:
            return False
        except OSError:  # On a full disk each worker gives it.
            pass
        return True
