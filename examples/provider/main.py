"""An API that takes the tokens of an identity provider, and the page that signs people in there.

It has no users and no sessions of its own. ``ISSUER`` names the provider and ``AUDIENCE`` this API
as the provider knows it; ``PAGE`` is the folder that ``make example NAME=provider`` has built.
"""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles

from unexpired_server import Auth, JWKSVerifier, User

auth = Auth(verifier=JWKSVerifier(issuer=os.environ["ISSUER"], audience=os.environ["AUDIENCE"]))
app = FastAPI(lifespan=auth.lifespan)
auth.install(app)


@app.get("/api/greeting", response_class=PlainTextResponse)
async def greeting(user: Annotated[User, Depends(auth.user)]) -> str:
    """Greet the person whose token it is."""
    return f"Hello, {user.id}."


app.mount("/", StaticFiles(directory=os.environ["PAGE"], html=True))
