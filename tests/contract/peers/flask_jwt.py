"""Flask-JWT-Extended: rotation, a block list, a user who is looked up."""

from __future__ import annotations

import os
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from flask import Flask, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
)

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = os.environ["SECRET"]
jwt = JWTManager(app)
users = {"ada"}
revoked: set[str] = set()


def is_revoked(_: object, claims: dict[str, Any]) -> bool:
    return claims["jti"] in revoked


def user(_: object, claims: dict[str, Any]) -> str | None:
    return claims["sub"] if claims["sub"] in users else None


jwt.token_in_blocklist_loader(is_revoked)
jwt.user_lookup_loader(user)


@app.post("/login")
def login() -> Any:
    given = request.get_json()
    name = given["username"]
    if name not in users or given["password"] != os.environ["PASSWORD"]:
        return jsonify(msg="Bad username or password"), 401
    return jsonify(
        access_token=create_access_token(name, fresh=True), refresh_token=create_refresh_token(name)
    )


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh() -> Any:
    revoked.add(get_jwt()["jti"])
    name = get_jwt_identity()
    return jsonify(access_token=create_access_token(name), refresh_token=create_refresh_token(name))


@app.post("/logout")
@jwt_required(refresh=True)
def logout() -> Any:
    revoked.add(get_jwt()["jti"])
    return jsonify(msg="Signed out")


@app.get("/me")
@jwt_required()
def me() -> Any:
    return jsonify(username=get_jwt_identity())


@app.get("/fresh")
@jwt_required(fresh=True)
def fresh() -> Any:
    return jsonify(username=get_jwt_identity())


@app.get("/gone")
def gone() -> Any:
    return jsonify(msg="No such note."), 404


@app.get("/test/<what>")
def change(what: str) -> Any:
    """Do to ada what an administrator may."""
    users.add("ada")
    if what == "disable":
        users.clear()
    return "", 204


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if __name__ == "__main__":
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201
        server.serve_forever()
