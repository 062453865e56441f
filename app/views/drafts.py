"""What a person typed and has not sent: kept on the device, per user, until it is sent."""

import js
from pyodide.ffi import JsException, jsnull

PREFIX = "unexpired.draft."


class Drafts:
    """One text per user in the browser's storage; where storage is blocked, nothing is kept."""

    def load(self, user_id: str) -> str:
        """Return the user's unsent text, empty when there is none."""
        try:
            text = js.localStorage.getItem(PREFIX + user_id)
        except JsException:
            return ""
        return "" if text is jsnull else str(text)

    def save(self, user_id: str, text: str) -> bool:
        """Keep the text, or forget it when it is empty; return whether the device took it."""
        try:
            if text:
                js.localStorage.setItem(PREFIX + user_id, text)
            else:
                js.localStorage.removeItem(PREFIX + user_id)
        except JsException:
            return False
        return True
