"""A Django API that accepts the access tokens of another server. It issues none.

Of an Unexpired server that signs with EdDSA or ES256, or of any issuer, such as Keycloak:

    export KEYS=https://sign-in.example/.well-known/jwks.json
    export ISSUER=https://issuer.example AUDIENCE=https://orders.example  # Or these two.

Serve it by ``uvicorn examples.django_api.app:asgi`` or ``gunicorn examples.django_api.app:wsgi``.

Django's own users, sessions, CSRF protection and error pages stay as they are.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from unexpired_server import Call, Claims, Failure, Forbidden, JWKSVerifier, failure_response

View = Callable[..., Any]

# One for the program: its workers share it, and it fetches the keys once for all requests.
verifier = JWKSVerifier(
    os.environ.get("KEYS"), issuer=os.environ.get("ISSUER"), audience=os.environ.get("AUDIENCE")
)


def requires(*scopes: str) -> Callable[[View], View]:
    """Let a view be called only with an access token that has these scopes."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                claims = verifier.authenticate_sync(*presented(request))
                request.claims = permitted(claims, scopes)
                return view(request, *args, **kwargs)
            except Failure as failure:
                return refusal(failure)

        @wraps(view)
        async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                claims = await verifier.authenticate(*presented(request))
                request.claims = permitted(claims, scopes)
                return await view(request, *args, **kwargs)
            except Failure as failure:
                return refusal(failure)

        return guarded_async if iscoroutinefunction(view) else guarded

    return decorate


def presented(request: HttpRequest) -> tuple[str | None, Call]:
    """Return what a request presents: its token, and the proof that a bound one needs."""
    url, proof = request.build_absolute_uri(), request.headers.get("DPoP")
    return request.headers.get("Authorization"), Call(request.method, url, proof)


def permitted(claims: Claims, scopes: Collection[str]) -> Claims:
    """Return the claims if they have the scopes."""
    if not claims.scopes.issuperset(scopes):
        raise Forbidden(scopes=scopes)
    return claims


def refusal(failure: Failure) -> HttpResponse:
    """Return the response for a failure."""
    answer = failure_response(failure)
    return HttpResponse(answer.body, status=answer.status, headers=answer.headers)


def books(_request: HttpRequest) -> HttpResponse:
    """Return what everybody may see."""
    return JsonResponse({"books": ["Emma"]})


@requires()
async def orders(request: HttpRequest) -> HttpResponse:
    """Return the user's orders."""
    return JsonResponse({"user": request.claims.user_id, "orders": []})


# Browsers send no bearer token by themselves, so nobody can forge this request across sites.
@csrf_exempt
@require_http_methods(["DELETE"])
@requires("orders:write")
def cancel(request: HttpRequest, number: int) -> HttpResponse:
    """Cancel an order, which not every user may."""
    return JsonResponse({"cancelled": number, "client": request.claims.claims.get("azp")})


urlpatterns = [
    path("", books),
    path("orders", orders),
    path("orders/<int:number>", cancel),
]

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", secrets.token_urlsafe(32)),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
)
asgi = get_asgi_application()
wsgi = get_wsgi_application()
