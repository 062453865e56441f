"""Django with djangorestframework-simplejwt: rotation and blacklist, as in its documentation.

``application`` is for gunicorn. ``python simplejwt.py tokens COUNT`` creates the tables, a user and
refresh tokens, and prints the tokens; ``python simplejwt.py in-process SECONDS`` reads such tokens
and refreshes them without a server.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path

THREADS = 4


def database(url: str) -> dict[str, Any]:
    """Return Django's settings of a database; SQLite is as durable as ours."""
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        options = {"init_command": pragmas, "transaction_mode": "IMMEDIATE", "timeout": 20}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path, "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password or "",
    }


settings.configure(
    SECRET_KEY=os.environ["SECRET_HEX"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {**database(os.environ["PEER_DATABASE_URL"]), "CONN_MAX_AGE": None}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework_simplejwt",
        "rest_framework_simplejwt.token_blacklist",
    ],
    USE_TZ=True,
    SIMPLE_JWT={
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
        "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - needs the settings
from django.db import transaction  # noqa: E402
from rest_framework_simplejwt.tokens import RefreshToken  # noqa: E402
from rest_framework_simplejwt.views import TokenRefreshView  # noqa: E402

urlpatterns = [path("api/refresh", TokenRefreshView.as_view())]
application = get_wsgi_application()


def make_tokens(count: int) -> list[str]:
    """Return refresh tokens of one user."""
    call_command("migrate", verbosity=0)
    with transaction.atomic():
        ada = User.objects.create_user("ada")
        return [str(RefreshToken.for_user(ada)) for _ in range(count)]


def refresh(token: str) -> str:
    """Refresh once, as a server would call it; return the next token."""
    body = json.dumps({"refresh": token}).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/refresh",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    statuses: list[str] = []
    response = application(environ, lambda status, _headers: statuses.append(status))
    content = b"".join(response)
    response.close()
    if not statuses[0].startswith("200"):
        raise RuntimeError(f"{statuses[0]}: {content!r}")
    return str(json.loads(content)["refresh"])


def in_process(seconds: float, tokens: list[str]) -> dict[str, float]:
    """Return the refreshes per second, and per second of processor time."""
    began, used = time.monotonic(), time.process_time()
    deadline = began + seconds

    def work(number: int) -> int:
        mine, done = tokens[number::THREADS], 0
        while time.monotonic() < deadline:
            mine.append(refresh(mine[done]))
            done += 1
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        total = sum(pool.map(work, range(THREADS)))
    return {
        "rate": total / (time.monotonic() - began),
        "per_core": total / (time.process_time() - used),
    }


if __name__ == "__main__":
    what, number = sys.argv[1:]
    if what == "tokens":
        json.dump(make_tokens(int(number)), sys.stdout)
    else:
        json.dump(in_process(float(number), json.load(sys.stdin)), sys.stdout)
