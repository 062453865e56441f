"""How the harness counts: what is a loss, what is gone with the data, when all is well again."""

import base64

from tests.cluster.ledger import HeldSession, Ledger, Outcome


def token(session: int, counter: int) -> str:
    raw = bytes(8) + session.to_bytes(16, "big") + counter.to_bytes(8, "big") + bytes(32)
    return "rt1." + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def session(number: int) -> HeldSession:
    body = {"accessToken": "a0", "refreshToken": token(number, 0), "expiresIn": 30}
    return HeldSession.from_response("ada", body)


def test_a_session_keeps_its_attempt_until_a_newer_token_is_stored() -> None:
    held = session(1)
    attempt = held.begin_attempt()
    assert held.begin_attempt() == attempt
    held.store({"accessToken": "a1", "refreshToken": token(1, 1), "expiresIn": 30})
    assert held.attempt is None
    held.store({"accessToken": "late", "refreshToken": token(1, 1), "expiresIn": 30})
    assert held.access == "a1"


def test_what_no_database_has_is_neither_lost_nor_alive() -> None:
    ledger = Ledger()
    kept, missing, revived = (ledger.hold(session(number)) for number in (1, 2, 3))
    revived.has_ended = True
    known = ledger.snapshot()
    for one in (kept, missing):
        ledger.lose(one, "refresh 401")
    ledger.compare(known, {kept.id: False, revived.id: False})
    assert [loss.session for loss in ledger.lost] == [kept]
    assert ledger.gone == (1, 1)


def test_what_came_after_the_fault_is_excused_by_nothing() -> None:
    ledger = Ledger()
    known = ledger.snapshot()
    later = ledger.hold(session(1))
    ledger.compare(known, {})
    ledger.lose(later, "refresh 401")
    assert len(ledger.lost) == 1


def test_recovery_lasts_until_the_last_failure_before_two_quiet_seconds() -> None:
    ledger = Ledger()
    ledger.failures += [9.0, 11.0, 12.5, 20.0]
    ledger.successes += [10.5, 13.0, 30.0]
    assert ledger.recovery(since=10.0) == 2.5
    assert ledger.recovery(since=19.0) == 1.0
    assert ledger.recovery(since=31.0) is None


def test_other_outcomes_are_counted_by_what_they_were() -> None:
    ledger = Ledger()
    ledger.note(Outcome.OTHER, "500 ")
    ledger.note(Outcome.OK)
    assert ledger.outcomes.total() == 2
    assert ledger.others == {"500 ": 1}
