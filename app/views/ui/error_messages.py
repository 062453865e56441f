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
from views.ui.dom import say
from views.ui.i18n import counted, told, tr

TYPED_IS_KEPT = "What you typed is kept."
# The client has led the person to the sign-in page, which says why: nothing to add here.
SESSION_IS_OVER = (NotSignedIn, SessionEnded, SessionExpired)


@contextmanager
def told_in(alert: Any, *, comfort: str = "") -> Iterator[None]:
    """Run what calls the server; what goes wrong is said in the alert, and goes no further.

    Args:
        alert: The element that says it.
        comfort: What else to say when the server cannot be reached.
    """
    say(alert)
    try:
        yield
    except SESSION_IS_OVER:
        pass
    except Unreachable as error:
        say(alert, f"{told(error)} {tr(comfort)}".rstrip())
    except RateLimited as error:
        say(alert, _wait(error.retry_after) if error.retry_after else told(error))
    except UnexpiredError as error:
        say(alert, told(error))


def _wait(seconds: float) -> str:
    whole = math.ceil(seconds)
    return counted(
        whole,
        "Too many tries. Please wait 1 second, then try again.",
        "Too many tries. Please wait {} seconds, then try again.",
    )
