"""What the reader of docs/how-to/from-flask-jwt-extended.md has already: users, with ada."""

from __future__ import annotations

import sqlite3

from werkzeug.security import generate_password_hash

if __name__ == "__main__":
    with sqlite3.connect("shop.sqlite3") as database:
        database.execute("create table users (id integer primary key, username, password_hash)")
        row = ("ada", generate_password_hash("correct horse"))
        database.execute("insert into users (username, password_hash) values (?, ?)", row)
