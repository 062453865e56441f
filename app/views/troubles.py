"""What went wrong, in sentences beside what it concerns."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unexpired import (
    NotSignedIn,
    RateLimited,
    SessionEnded,
    SessionExpired,
    UnexpiredError,
    Unreachable,
)

from .dom import say

# The client has led the person to the sign-in page, which says why: nothing to add here.
SESSION_IS_OVER = (NotSignedIn, SessionEnded, SessionExpired)


@contextmanager
def told_in(alert: Any) -> Iterator[None]:
    """Run what calls the server; what goes wrong is said in the alert, and goes no further."""
    say(alert)
    try:
        yield
    except SESSION_IS_OVER:
        pass
    except UnexpiredError as error:
        say(alert, _sentence(error))


def _sentence(error: UnexpiredError) -> str:
    match error:
        case RateLimited(retry_after=float() as seconds):
            return f"Too many tries. Please wait {_seconds(seconds)}, then try again."
        case Unreachable():
            return "The server cannot be reached. What you typed is kept: please try again."
        case _:
            return str(error)


def _seconds(count: float) -> str:
    whole = max(math.ceil(count), 1)
    return "1 second" if whole == 1 else f"{whole} seconds"
