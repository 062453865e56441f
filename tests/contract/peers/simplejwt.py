"""Django with djangorestframework-simplejwt: rotation, blacklist, revocation by password."""

from __future__ import annotations

import os
from datetime import timedelta
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

settings.configure(
    SECRET_KEY=os.environ["SECRET"],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt.token_blacklist",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    USE_TZ=True,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "CHECK_REVOKE_TOKEN": True,
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - Django must be set up first
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.exceptions import NotFound  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.views import (  # noqa: E402
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
)


class Me(APIView):
    """The user who asks."""

    def get(self, request: Request) -> Response:
        return Response({"username": request.user.username})


class Gone(APIView):
    """Something that is not there."""

    def get(self, _: Request) -> Response:
        raise NotFound("No such note.")


def change(_: HttpRequest, what: str) -> HttpResponse:
    """Do to ada what an administrator may."""
    users = User.objects.filter(username="ada")
    if what == "disable":
        users.update(is_active=False)
    elif what == "password":
        ada = users.get()
        ada.set_password("another")
        ada.save()
    else:
        users.delete()
    if what == "reset":
        User.objects.create_user("ada", password=os.environ["PASSWORD"])
    return HttpResponse(status=204)


urlpatterns = [
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/token/blacklist/", TokenBlacklistView.as_view()),
    path("me", Me.as_view()),
    path("gone", Gone.as_view()),
    path("test/<what>", change),
]


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201
        server.serve_forever()
