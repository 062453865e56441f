"""What the reader of docs/how-to/from-fastapi-users.md has already: ``users.py``, with ada."""

from __future__ import annotations

import os
from pathlib import Path

os.environ |= {"SECRET": "a secret of thirty-two bytes or more", "PASSWORD": "correct horse"}

from tests.contract.peers.fastapi_users_app import (
    PASSWORD,
    User,
    UserManager,
    backend,
    fastapi_users,
    get_user_manager,
    users,
)

__all__ = ["backend", "fastapi_users", "get_user_manager"]

ada = User("ada@example.com", UserManager(users).password_helper.hash(PASSWORD))
users.users[ada.id] = ada

if __name__ == "__main__":
    Path("users.py").write_text("from tests.docs.given.existing_users import *\n")
