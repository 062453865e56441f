"""The guides that put this project's server into an application, and a user's own routes.

``GUIDES`` is what ``test_guides.py`` runs. Each framework has routes as its users write them: some
that are public, and one that needs a user, by the guide's own ``guard``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

from tests.docs.pages import DOCS, Snippet, snippets

Framework = Literal["fastapi", "starlette", "django", "flask"]


@dataclass(frozen=True)
class Guide:
    """A page of the documentation whose Python for programs is one application.

    Attributes:
        page: Its path in ``docs``.
        framework: What it is written for.
        guard: What makes a route need a user, as Python: in FastAPI a dependency, elsewhere a
            decorator without its ``@``.
        app: The name of the application.
        module: The module that has it, as the page's captions make it.
        routes_in: The file at whose end a user would add routes.
        without: Captions of files that the application does not have, such as tests.
        prefix: Where the guide puts our routes.
        verifies: Whether its tokens come from another server (``API``), so that it has no users.
        needs_user: Whether the documentation's user is added by ``unexpired-server user add``;
            otherwise the guide's own code has that user, or the other server.
        username: The name of the documentation's user.
        given: The module in ``tests.docs.given`` that makes what the guide's reader has already.
    """

    page: str
    framework: Framework
    guard: str
    app: str = "app"
    module: str = "main"
    routes_in: str = "main.py"
    without: tuple[str, ...] = ()
    prefix: str = "/api"
    verifies: bool = False
    needs_user: bool = True
    username: str = "ada"
    given: str = ""

    @property
    def path(self) -> Path:
        """The file."""
        return DOCS / self.page

    @property
    def for_programs(self) -> list[Snippet]:
        """The Python of the application."""
        code = (one for one in snippets(self.path, "python") if one.is_for_programs)
        return [one for one in code if one.caption not in self.without]

    @property
    def for_pages(self) -> list[Snippet]:
        """The Python of a page that calls the application, which needs no browser to run."""
        code = (one for one in snippets(self.path, "python") if one.is_for_browsers)
        return [one for one in code if not one.needs_browser]

    @property
    def target(self) -> str:
        """The application, as a server is given it."""
        return f"{self.module}:{self.app}"


GUIDES = (
    Guide("index.md", "fastapi", "auth.user"),
    Guide("how-to/own-application.md", "starlette", 'requires("authenticated", status_code=401)'),
    Guide("how-to/own-application.md", "fastapi", "auth.user", app="api", verifies=True),
    Guide("how-to/fastapi.md", "fastapi", "auth.user"),
    Guide("how-to/starlette.md", "starlette", "requires()"),
    Guide(
        "how-to/starlette.md",
        "starlette",
        'starlette_requires("authenticated", status_code=401)',
        app="usual",
    ),
    Guide("how-to/websockets.md", "fastapi", "auth.user"),
    Guide("how-to/sign-up-and-second-step.md", "fastapi", "auth.user", needs_user=False),
    Guide("how-to/roles.md", "fastapi", "auth.user"),
    Guide("how-to/own-users.md", "fastapi", "auth.requires('orders:write')", needs_user=False),
    Guide("how-to/django.md", "django", "requires()", verifies=True, needs_user=False),
    Guide(
        "how-to/flask.md",
        "flask",
        "requires()",
        without=("test_orders.py",),
        verifies=True,
        needs_user=False,
    ),
    Guide("how-to/accounts.md", "fastapi", "auth.user"),
    Guide("how-to/streaming.md", "fastapi", "auth.user"),
    Guide(
        "how-to/from-simplejwt.md",
        "django",
        "api_view()",
        routes_in="urls.py",
        needs_user=False,
        given="django_tables",
    ),
    Guide(
        "how-to/from-flask-jwt-extended.md",
        "starlette",
        '__import__("unexpired_server").requires()',
        app="accounts",
        module="accounts",
        routes_in="accounts.py",
        needs_user=False,
        given="flask_tables",
    ),
    Guide(
        "how-to/from-flask-jwt-extended.md",
        "flask",
        "user_required",
        module="shop",
        routes_in="shop.py",
        verifies=True,
        needs_user=False,
    ),
    Guide(
        "how-to/from-fastapi-users.md",
        "fastapi",
        "either",
        needs_user=False,
        username="ada@example.com",
        given="existing_users",
    ),
)


@dataclass(frozen=True)
class OwnRoutes:
    """Routes as a framework's users write them; ``$app`` stands for the application.

    Attributes:
        bare: An application of the framework with nothing in it.
        public: Routes for anybody, of which some fail as the host wants it.
        guarded: The route that needs a user; ``$guard`` stands for what the guide shows for that.
    """

    bare: str
    public: str
    guarded: str


FAILING = (
    ("GET", "/own/nothing"),
    ("POST", "/own/public"),
    ("GET", "/own/teapot"),
    ("GET", "/own/forbidden"),
    ("GET", "/own/items/none"),
    ("GET", "/own/broken"),
)
"""Requests that the host itself refuses."""

OWN_ROUTES: dict[Framework, OwnRoutes] = {
    "fastapi": OwnRoutes(
        bare="import fastapi\n\n$app = fastapi.FastAPI()",
        public="""
import fastapi as own_fastapi

@$app.get("/own/public")
async def own_public() -> dict[str, str]:
    return {"this is": "public"}

@$app.get("/own/teapot")
async def own_teapot() -> None:
    raise own_fastapi.HTTPException(418, "The host is a teapot.")

@$app.get("/own/forbidden")
async def own_forbidden() -> None:
    raise own_fastapi.HTTPException(403, "The host forbids it.")

@$app.get("/own/items/{number}")
async def own_item(number: int) -> int:
    return number

@$app.get("/own/broken")
async def own_broken() -> None:
    raise RuntimeError("The host is broken.")
""",
        guarded="""
@$app.get("/own/guarded", dependencies=[own_fastapi.Depends($guard)])
async def own_guarded() -> dict[str, str]:
    return {"this is": "guarded"}
""",
    ),
    "starlette": OwnRoutes(
        bare="from starlette.applications import Starlette\n\n$app = Starlette()",
        public="""
from starlette.exceptions import HTTPException as OwnHTTPException
from starlette.responses import JSONResponse as OwnJSONResponse
from starlette.routing import Route as OwnRoute

async def own_public(request):
    return OwnJSONResponse({"this is": "public"})

async def own_teapot(request):
    raise OwnHTTPException(418, "The host is a teapot.")

async def own_forbidden(request):
    raise OwnHTTPException(403, "The host forbids it.")

async def own_item(request):
    return OwnJSONResponse(request.path_params["number"])

async def own_broken(request):
    raise RuntimeError("The host is broken.")

$app.router.routes += [
    OwnRoute("/own/public", own_public),
    OwnRoute("/own/teapot", own_teapot),
    OwnRoute("/own/forbidden", own_forbidden),
    OwnRoute("/own/items/{number:int}", own_item),
    OwnRoute("/own/broken", own_broken),
]
""",
        guarded="""
@$guard
async def own_guarded(request):
    return OwnJSONResponse({"this is": "guarded"})

$app.router.routes.append(OwnRoute("/own/guarded", own_guarded))
""",
    ),
    "django": OwnRoutes(
        bare="""
from django import setup
from django.conf import settings
from django.core.asgi import get_asgi_application

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="the host's own")
setup()
$app = get_asgi_application()
urlpatterns = []
""",
        public="""
from django.core.exceptions import PermissionDenied as OwnPermissionDenied
from django.http import JsonResponse as OwnJsonResponse
from django.urls import path as own_path
from django.views.decorators.http import require_GET as own_require_get

@own_require_get
def own_public(request):
    return OwnJsonResponse({"this is": "public"})

def own_teapot(request):
    return OwnJsonResponse({"the host is": "a teapot"}, status=418)

def own_forbidden(request):
    raise OwnPermissionDenied("The host forbids it.")

def own_item(request, number):
    return OwnJsonResponse({"number": number})

def own_broken(request):
    raise RuntimeError("The host is broken.")

urlpatterns += [
    own_path("own/public", own_public),
    own_path("own/teapot", own_teapot),
    own_path("own/forbidden", own_forbidden),
    own_path("own/items/<int:number>", own_item),
    own_path("own/broken", own_broken),
]
""",
        guarded="""
@$guard
def own_guarded(request):
    return OwnJsonResponse({"this is": "guarded"})

urlpatterns += [own_path("own/guarded", own_guarded)]
""",
    ),
    "flask": OwnRoutes(
        bare="import flask\n\n$app = flask.Flask(__name__)",
        public="""
import flask as own_flask

@$app.get("/own/public")
def own_public():
    return {"this is": "public"}

@$app.get("/own/teapot")
def own_teapot():
    own_flask.abort(418)

@$app.get("/own/forbidden")
def own_forbidden():
    own_flask.abort(403)

@$app.get("/own/items/<int:number>")
def own_item(number):
    return {"number": number}

@$app.get("/own/broken")
def own_broken():
    raise RuntimeError("The host is broken.")
""",
        guarded="""
@$app.get("/own/guarded")
@$guard
def own_guarded():
    return {"this is": "guarded"}
""",
    ),
}


def own_routes(guide: Guide) -> str:
    """Return a user's own routes for a guide's application."""
    routes = OWN_ROUTES[guide.framework]
    return _filled(routes.public + routes.guarded, guide.app, guide.guard)


def bare_application(framework: Framework) -> str:
    """Return an application that has the public ones of these routes, and nothing of ours."""
    routes = OWN_ROUTES[framework]
    return _filled(f"{routes.bare}\n{routes.public}", "app", "")


def _filled(text: str, app: str, guard: str) -> str:
    return Template(text).substitute(app=app, guard=guard)
