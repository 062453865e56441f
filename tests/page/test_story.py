"""The story of a request: each step, and whose refresh it waited for."""

import pytest

from views.activity.entries import Entry, Kind
from views.activity.story import story_of

ME = "GET /api/me"


def entry(
    kind: Kind, sent_at: float, outcome: str = "200", *, number: int = 1, took: float = 0.01
) -> Entry:
    asked_at = 9.99 if number else None
    return Entry(kind, ME, sent_at, number, asked_at, took, outcome, failed=outcome != "200")


REFUSED = entry("request", 9.99, "401 TOKEN_EXPIRED")  # until 10.0
RETRY = entry("retry", 10.08)


def refresh(number: int, *, ended_at: float = 10.05, outcome: str = "200") -> Entry:
    return entry("refresh", ended_at - 0.01, outcome, number=number)


def test_a_request_that_succeeds_at_once_is_a_short_story() -> None:
    """It is sent, and there is the response."""
    request = entry("request", 9.99)
    assert story_of(request, [request]) == ["sent", "200 after 10 ms"]


@pytest.mark.parametrize(
    ("number", "waited"),
    [
        (1, "waited 80 ms for the refresh that it had started"),
        (2, "waited 80 ms for the refresh of another request"),
        (0, "waited 80 ms for a refresh that was under way"),
    ],
)
def test_a_refused_request_waits_for_a_refresh_and_is_retried(number: int, waited: str) -> None:
    """The request and its retry have the same story."""
    entries = [REFUSED, refresh(number), RETRY]
    story = ["sent", "401 TOKEN_EXPIRED after 10 ms", waited, "retried", "200 after 10 ms"]
    assert story_of(REFUSED, entries) == story
    assert story_of(RETRY, entries) == story


def test_the_refresh_may_be_of_another_tab() -> None:
    """Then this tab has sent none."""
    story = story_of(REFUSED, [REFUSED, RETRY], [refresh(7)])
    assert story[2] == "waited 80 ms for the refresh of another tab"
    assert story_of(REFUSED, [REFUSED, RETRY])[2] == "waited 80 ms"


@pytest.mark.parametrize("other", [refresh(2, outcome="503"), refresh(2, ended_at=9.5)])
def test_a_refresh_that_failed_or_was_over_is_not_waited_for(other: Entry) -> None:
    """Only the response of a successful one lets the request go on."""
    assert story_of(REFUSED, [other, REFUSED, RETRY])[2] == "waited 80 ms"


def test_a_request_may_wait_before_it_is_sent() -> None:
    """The page knows that its token has expired."""
    request = Entry("request", ME, 10.08, 1, 10.0, None)
    assert story_of(request, [refresh(1), request]) == [
        "waited 80 ms for the refresh that it had started",
        "sent",
        "no response yet",
    ]


def test_a_request_of_no_call_has_only_itself() -> None:
    """All of these have the number 0, and nothing to do with each other."""
    first, second = entry("request", 1, number=0), entry("request", 2, number=0)
    assert story_of(first, [first, second]) == ["sent", "200 after 10 ms"]


def test_a_refresh_says_who_started_it_and_how_many_waited() -> None:
    """The requests whose refusal came before its response, and which were retried after it."""
    renewal = refresh(1)
    others = [
        one
        for number in (2, 3)
        for one in (
            entry("request", 9.99, "401 TOKEN_EXPIRED", number=number),
            entry("retry", 10.08, number=number),
        )
    ]
    unrelated = entry("request", 10.01, number=4)
    assert story_of(renewal, [REFUSED, *others, renewal, unrelated, RETRY]) == [
        "started by GET /api/me",
        "sent",
        "200 after 10 ms",
        "3 requests waited for it",
    ]
    assert story_of(renewal, [REFUSED, renewal, RETRY])[-1] == "1 request waited for it"


def test_a_refresh_by_the_clock_is_started_by_nothing() -> None:
    """It has only what was sent and what came."""
    renewal = refresh(0)
    assert story_of(renewal, [renewal]) == ["sent", "200 after 10 ms"]
