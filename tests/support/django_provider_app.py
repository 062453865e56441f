"""Django OAuth Toolkit as an identity provider, with people and clients that are given.

Usage: python -m tests.support.django_provider_app '<options as JSON>'

It prints its issuer when it listens, and ends when its standard input does.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from socketserver import ThreadingMixIn
from tempfile import TemporaryDirectory
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings

OPTIONS = json.loads(sys.argv[1])
APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "oauth2_provider",
]
LOGIN_PAGE = """<!doctype html><title>Sign in</title><form method="post">{% csrf_token %}
{{ form.as_p }}<input type="hidden" name="next" value="{{ next }}"><button>Sign in</button>
</form>"""


class QuietHandler(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class ThreadedServer(ThreadingMixIn, WSGIServer):
    """A browser may hold a connection open that it does not use yet."""

    daemon_threads = True


folder = TemporaryDirectory()
server = make_server(
    "127.0.0.1", 0, lambda *_: [], server_class=ThreadedServer, handler_class=QuietHandler
)
key = rsa.generate_private_key(65537, 2048)
settings.configure(
    SECRET_KEY=OPTIONS["password"] * 4,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=APPS,
    MIGRATION_MODULES={app.rpartition(".")[2]: None for app in APPS},  # Tables at once.
    MIDDLEWARE=[
        f"{__name__}.allow_origin",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"registration/login.html": LOGIN_PAGE},
                    ),
                    "django.template.loaders.app_directories.Loader",
                ],
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                ],
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(folder.name) / "provider.sqlite3"),
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    STATIC_URL="/static/",
    USE_TZ=True,
    # Cookies are shared by all ports of a host.
    SESSION_COOKIE_NAME=f"session_{server.server_port}",
    CSRF_COOKIE_NAME=f"csrf_{server.server_port}",
    LOGIN_URL="/login/",
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
        "OAUTH2_VALIDATOR_CLASS": f"{__name__}.Validator",
        "OAUTH_DEVICE_VERIFICATION_URI": f"http://127.0.0.1:{server.server_port}/device/",
        "SCOPES": {name: name for name in ("openid", "profile", "email", "offline_access")},
        "ACCESS_TOKEN_EXPIRE_SECONDS": OPTIONS["access_ttl"],
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "DEVICE_FLOW_INTERVAL": 1,
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - Django must be set up first
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402

urlpatterns = [
    path("login/", LoginView.as_view()),
    path("", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


class Validator(OAuth2Validator):
    """Says of a person what the scopes allow, and lets ``prompt=none`` be asked for."""

    oidc_claim_scope = {**OAuth2Validator.oidc_claim_scope, "name": "profile"}  # noqa: RUF012

    def get_additional_claims(self) -> dict[str, Callable[[Any], str]]:
        """Return each further claim, as a function of the request."""
        return {
            "name": lambda request: f"Name of {request.user.username}",
            "email": lambda request: str(request.user.email),
        }

    def validate_silent_login(self, _: object) -> bool:
        """Leave it to the view, which knows whether the person is signed in."""
        return True

    def validate_silent_authorization(self, _: object) -> bool:
        """Allow again what was allowed before."""
        return True


def allow_origin(
    respond: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Let the page call from a browser, as django-cors-headers does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.headers.get("Origin") != OPTIONS["page"]:
            return respond(request)
        response = HttpResponse(status=204) if request.method == "OPTIONS" else respond(request)
        response["Access-Control-Allow-Origin"] = OPTIONS["page"]
        response["Access-Control-Allow-Headers"] = "authorization, dpop"
        response["Vary"] = "Origin"
        return response

    return middleware


call_command("migrate", verbosity=0, run_syncdb=True)
for name in OPTIONS["people"]:
    User.objects.create_user(name, f"{name}@example.com", OPTIONS["password"])
for client in OPTIONS["clients"]:
    Application.objects.create(algorithm="RS256", **client)
server.set_app(get_wsgi_application())
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
sys.stdout.flush()
sys.stdin.read()
folder.cleanup()
