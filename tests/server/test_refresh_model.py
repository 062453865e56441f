"""The refresh rules against a model, in every order that hypothesis can find."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from unexpired_server.sessions.refresh_tokens import RefreshTokens
from unexpired_server.sessions.rules import (
    TAB_SECONDS,
    Decision,
    Session,
    SessionPolicy,
    decide,
    ends_at,
    hash_attempt,
    refreshed,
)
from unexpired_server.tokens.keys import Key, ring_of

GRACE, IDLE, ABSOLUTE = 30, 1000, 5000
ATTEMPTS = [None, "a", "b"]
POLICY = SessionPolicy(idle_ttl=IDLE, absolute_ttl=ABSOLUTE, grace=GRACE)
TOKENS = RefreshTokens(ring_of(Key("ab" * 8, bytes(range(32)))))


class OneSession(RuleBasedStateMachine):
    """A session whose tokens are presented in any order and at any time.

    The model knows only what a person could say: which tokens were ever handed out, when the
    newest was, which attempt each was handed out for, and whether the session was ended.
    """

    tokens = Bundle("tokens")

    @initialize(target=tokens)
    def sign_in(self) -> str:
        self.now = 0.0
        self.session = Session("1" * 32, "2" * 32, 0, self.now, self.now)
        self.handed_out = [TOKENS.write(self.session)]
        self.attempts: list[str | None] = []  # the one that used up each token but the newest
        self.newest_at = self.now
        self.is_ended = False
        return self.handed_out[0]

    @rule(seconds=st.sampled_from([0.0, 0.5, 9.0, 9.5, 29.0, 29.5, 1.0, 300.0, 999.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=tokens, token=tokens, attempt=st.sampled_from(ATTEMPTS))
    def present(self, token: str, attempt: str | None) -> str:
        expected = self._expected(token, attempt)
        successor = self._present(token, attempt)
        if expected is None:
            assert successor is None
            return token
        assert expected in {successor, "new"}
        assert successor is not None
        if expected == "new":
            assert successor not in self.handed_out
            self.handed_out.append(successor)
            self.attempts.append(attempt)
            self.newest_at = self.now
        return successor

    @rule()
    def sign_out(self) -> None:
        self.session = replace(self.session, revoked_at=self.now)
        self.is_ended = True

    @invariant()
    def the_end_never_moves_beyond_the_absolute_life(self) -> None:
        assert ends_at(self.session, POLICY) <= ABSOLUTE

    def _expected(self, token: str, attempt: str | None) -> str | None:
        """Return the token that the model expects: a successor, a new one, or none."""
        age = len(self.handed_out) - 1 - self.handed_out.index(token)
        is_over = self.now >= min(self.newest_at + IDLE, ABSOLUTE)
        if self.is_ended or is_over:
            return None
        if age == 0:
            return "new"
        is_own = age <= 4 and attempt is not None and attempt == self.attempts[-age]
        if age == 1 and (is_own or self.now < self.newest_at + window(attempt)):
            return self.handed_out[-1]
        if not is_own:
            self.is_ended = True  # Reuse: either holder may be a thief.
        return None

    def _present(self, token: str, attempt: str | None) -> str | None:
        """Apply the rules as the store does."""
        presented = TOKENS.read(token)
        assert presented is not None
        hashed = hash_attempt(attempt)
        decision = decide(self.session, presented.counter, hashed, self.now, POLICY)
        if decision is Decision.REUSE:
            self.session = replace(self.session, revoked_at=self.now)
        if decision is Decision.ROTATE:
            self.session = refreshed(self.session, presented.counter, hashed, self.now, POLICY)
        is_granted = decision in {Decision.ROTATE, Decision.REPEAT}
        return TOKENS.write(self.session) if is_granted else None


def window(attempt: str | None) -> float:
    """Return how long after a step its token is taken from those who did not take the step."""
    return GRACE if attempt is None else TAB_SECONDS


OneSession.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestOneSession = OneSession.TestCase
