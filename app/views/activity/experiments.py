"""The experiments: what each does and what to expect, for people."""

from __future__ import annotations

from views.activity.experiment import Experiment
from views.activity.theft import Theft
from views.activity.trials import SLOW, Trials
from views.ui.i18n import tr

BURSTS = (20, 100)


def experiments(trials: Trials, theft: Theft) -> list[Experiment]:
    """Return the experiments; those that end the session come last."""
    return [
        *(_burst(trials, size) for size in BURSTS),
        Experiment(
            tr("Go offline"),
            tr(
                "Makes every request fail: expect “Reconnecting…” while you stay signed in."
                " Come back online, and the page reconnects."
            ),
            trials.toggle_network,
            stop_name=tr("Come back online"),
            is_active=lambda: trials.is_offline,
        ),
        Experiment(
            tr("Slow network"),
            tr(
                "Delays each response by {} seconds and sends three requests with an expired"
                " token: expect one refresh, for which all three wait.",
                SLOW,
            ),
            trials.slow_down,
        ),
        Experiment(
            tr("Lost response"),
            tr(
                "Loses the response to a refresh after the server has sent it: expect the page"
                " to ask again and to get the same tokens. You stay signed in."
            ),
            trials.lose_response,
        ),
        Experiment(
            tr("Duplicate this tab"),
            tr(
                "Opens this page in a second tab: expect it to start with your session, without"
                " a sign-in. What it sends appears here, too."
            ),
            trials.duplicate_tab,
            is_exclusive=False,
        ),
        Experiment(
            tr("Another tab holds the lock"),
            tr(
                "Holds the lock among tabs, as a tab that hangs would, and sends a request with"
                " an expired token: expect it to wait for a few seconds, then to refresh"
                " without the lock."
            ),
            trials.hold_lock,
        ),
        Experiment(
            tr("Wrong device clock"),
            tr(
                "Sets the clock an hour ahead, so the token looks expired: expect one refresh,"
                " not a loop."
            ),
            trials.shift_clock,
        ),
        Experiment(
            tr("Steal my tokens"),
            tr(
                "Copies the tokens out of this browser's storage and uses them as a thief"
                " elsewhere would: expect the server to give the thief no new ones. Nothing"
                " happens to your session."
            ),
            theft.run,
        ),
        Experiment(
            tr("Damage my token"),
            tr(
                "Changes one character of the token's signature: expect the server to refuse"
                " the token. The session ends; sign in, and you return to this page."
            ),
            trials.damage_token,
        ),
        Experiment(
            tr("Revoke my session"),
            tr(
                "Ends this session on the server, as another device could: expect the next"
                " request to be refused. Sign in, and you return to this page."
            ),
            trials.revoke_session,
        ),
    ]


def _burst(trials: Trials, size: int) -> Experiment:
    return Experiment(
        tr("Burst of {} requests", size),
        tr(
            "Sends {} requests at once with an expired token: expect {} refusals, one"
            " refresh and {} retries that succeed.",
            *[size] * 3,
        ),
        lambda: trials.burst(size),
    )
