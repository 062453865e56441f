"""Flask with flask-jwt-extended; VERIFY=0 skips verification."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager, get_jwt_identity, jwt_required

app = Flask(__name__)
app.config.update(
    JWT_SECRET_KEY=bytes.fromhex(os.environ["SECRET_HEX"]),
    JWT_DECODE_AUDIENCE="unexpired",
    JWT_DECODE_ISSUER="unexpired",
)
JWTManager(app)


@jwt_required()
def verified() -> dict[str, Any]:
    """Return the current user."""
    return {"id": get_jwt_identity(), "username": "ada"}


def trusted() -> dict[str, Any]:
    """Return a fixed user."""
    return {"id": "0" * 32, "username": "ada"}


app.get("/api/me")(trusted if os.environ.get("VERIFY") == "0" else verified)
