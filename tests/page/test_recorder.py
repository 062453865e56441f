"""What the recorder behind the time line remembers, and what it does not; without a browser."""

import jwt
import pytest

from unexpired import Headers, Request, Response, Unreachable
from views.activity.faults import FaultyTransport
from views.activity.recorder import Recorder

CALL = Request("GET", "https://api.example/api/notes?q=private")
OLD, NEW = (jwt.encode({"sub": name}, "k" * 32) for name in ("old", "new"))


class Server:
    """Answers as it is told."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.received: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.received.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Response(answer, Headers(), b'{"code": "TOKEN_EXPIRED"}' if answer == 401 else b"")


def bearing(token: str) -> Request:
    return CALL.with_header("authorization", f"Bearer {token}")


async def test_a_refused_call_with_a_newer_token_is_its_retry() -> None:
    """Once for each refusal; the same call later is a request of its own."""
    recorder = Recorder(Server(401, 401, 200, 200, 200))
    for token in (OLD, OLD, NEW, NEW, NEW):
        await recorder.send(bearing(token))
    kinds = [entry.kind for entry in recorder.entries]
    assert kinds == ["request", "request", "retry", "retry", "request"]


async def test_the_same_token_again_is_no_retry() -> None:
    """Whoever asks twice with the refused token has not renewed it."""
    recorder = Recorder(Server(401, 401))
    for _ in range(2):
        await recorder.send(bearing(OLD))
    assert [entry.kind for entry in recorder.entries] == ["request", "request"]


async def test_an_entry_says_what_came_of_it_without_the_query() -> None:
    """Method, path, status and code; how long it took; and whether it failed."""
    ticks = iter((10.0, 10.5, 11.0, 13.0))
    recorder = Recorder(Server(401, Unreachable()), now=lambda: next(ticks))
    await recorder.send(bearing(OLD))
    with pytest.raises(Unreachable):
        await recorder.send(CALL)
    first, second = recorder.entries
    assert (first.call, first.outcome, first.took) == ("GET /api/notes", "401 TOKEN_EXPIRED", 0.5)
    assert (second.outcome, second.took, second.failed) == ("no answer", 2.0, True)


async def test_claims_are_those_of_the_last_token_and_go_with_the_session() -> None:
    """Nothing before a token was sent, nothing after its session."""
    recorder = Recorder(Server(200, 200))
    assert recorder.claims() == {}
    await recorder.send(bearing(OLD))
    await recorder.send(bearing(NEW))
    assert recorder.claims() == {"sub": "new"}
    recorder.forget()
    assert recorder.claims() == {}


def test_a_new_token_ends_the_life_of_the_last() -> None:
    """Lives follow one another: no bar begins before the last one ends."""
    ticks = iter((100.0, 112.0, 112.0))
    recorder = Recorder(Server(), now=lambda: next(ticks))
    recorder.begin_life(lifetime=20, left=20, due_in=15)
    recorder.begin_life(lifetime=20, left=19, due_in=14)
    first, second = recorder.lives
    assert (first.born_at, first.due_at, first.dies_at, first.replaced_at) == (100, 115, 120, 112)
    assert (first.how_it_ended(112), second.how_it_ended(112)) == ("renewed", None)
    assert (second.born_at, second.dies_at, second.replaced_at) == (112, 131, None)


@pytest.mark.parametrize(
    ("later", "how", "when"),
    [(5, "session over", 105), (19.9, "expired", 119.9), (30, "expired", 120)],
)
def test_a_life_ends_with_its_session_or_by_itself(later: float, how: str, when: float) -> None:
    """Signed out early, the session ended it; at its end and after, its time did."""
    ticks = iter((100.0, 100 + later))
    recorder = Recorder(Server(), now=lambda: next(ticks))
    recorder.begin_life(lifetime=20, left=20, due_in=None)
    recorder.forget()
    (life,) = recorder.lives
    assert (life.how_it_ended(200), life.ended_at(200)) == (how, when)


def test_a_life_that_nobody_ended_ends_when_its_time_is_over() -> None:
    """It is good until then, and says when it ended from then on."""
    recorder = Recorder(Server(), now=lambda: 100.0)
    recorder.begin_life(lifetime=20, left=20, due_in=15)
    (life,) = recorder.lives
    assert (life.how_it_ended(119), life.ended_at(119)) == (None, None)
    assert (life.how_it_ended(120), life.ended_at(120)) == ("expired", 120)


async def test_a_damaged_token_differs_in_its_signature_alone() -> None:
    """One character, and only while it is asked for; a call without a token is left alone."""
    server = Server(200, 200, 200)
    network = FaultyTransport(server)
    network.damages = True
    await network.send(bearing(OLD))
    await network.send(CALL)
    network.heal()
    await network.send(bearing(OLD))
    damaged, bare, whole = (request.headers.get("authorization") for request in server.received)
    assert (bare, whole) == (None, f"Bearer {OLD}")
    assert damaged is not None
    assert damaged.rpartition(".")[0] == f"Bearer {OLD}".rpartition(".")[0]
    assert sum(a != b for a, b in zip(damaged, f"Bearer {OLD}", strict=True)) == 1


async def test_a_token_called_expired_stays_so_and_the_next_is_good() -> None:
    """Every call that bears it is refused without asking the server; another token passes."""
    server = Server(200)
    network = FaultyTransport(server)
    network.expires_next = True
    codes = [(await network.send(bearing(token))).code for token in (OLD, OLD, NEW)]
    assert codes == ["TOKEN_EXPIRED", "TOKEN_EXPIRED", None]
    assert len(server.received) == 1
