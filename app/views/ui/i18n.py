"""The page's sentences in the person's language; the sources hold the English ones."""

import re
from collections.abc import Mapping

from unexpired import BadReply, UnexpiredError

NUMBER = re.compile(r"\d+")

_known: dict[str, str] = {}


def learn(sentences: Mapping[str, str]) -> None:
    """Speak another language from now on: its sentences, each under its English one."""
    _known.update(sentences)


def tr(sentence: str, *values: object) -> str:
    """Return the sentence in the person's language, with the values in place of each ``{}``.

    What is not in the translations stays as it is: English, or a server's own words.
    """
    known = _known.get(sentence, sentence)
    return known.format(*values) if values else known


def counted(count: int, one: str, many: str) -> str:
    """Return the sentence for one, or that for any other number, with the number in it."""
    return tr(one) if count == 1 else tr(many, count)


def retold(sentence: str) -> str:
    """Translate a sentence that was written elsewhere, and keep the numbers that stand in it."""
    return tr(NUMBER.sub("{}", sentence), *NUMBER.findall(sentence))


def told(error: UnexpiredError) -> str:
    """Return the error's sentence; a server's own one is told by its code, where that is known."""
    sentence = str(error)
    if sentence not in _known and isinstance(error, BadReply) and error.code:
        return _known.get(error.code, sentence)
    return tr(sentence)
