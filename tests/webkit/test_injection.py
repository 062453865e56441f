"""Injected HTML in WebKitGTK: it runs neither JavaScript nor Python, as in Safari."""

from tests.support.injection import MARK, MARKED, PRESS, RAN, SCRIPTS, SINKS, WRITES, put
from tests.webkit.window import Window


def test_no_string_becomes_html_or_a_script(window: Window) -> None:
    """Each attempt is refused, and nothing of it runs."""
    window.opens()
    assert window.evaluate(put(SINKS | WRITES)) == []
    window.evaluate(MARK)
    window.waits(lambda: window.evaluate(MARKED))
    assert window.evaluate(PRESS) == 0
    assert window.evaluate(RAN) == []
    assert window.evaluate(put(SCRIPTS, {"script": ""})) == []


def test_all_views_open_under_the_policy(window: Window) -> None:
    """The page itself does nothing that its policy refuses."""
    window.opens()
    window.evaluate(
        "void addEventListener('securitypolicyviolation', ({ sample }) => {"
        " document.documentElement.dataset.violation = sample })"
    )
    window.signs_in()
    for view in ("Activity", "Devices", "Secret key", "Notes"):
        window.find("a", view).click()
        window.find("h1", view)
    window.adds("written under the policy")
    window.signs_out()
    assert window.evaluate("document.documentElement.dataset.violation") is None
