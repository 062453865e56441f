"""The teas and the orders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shop.database import Database

FIRST = (("Assam", 640, 12), ("Darjeeling", 890, 3), ("Sencha", 720, 40))
"""Names, prices in cents, and how many there are."""

PRODUCTS = "SELECT id, name, price, stock, pictures FROM products"
"""The number of pictures that a product has had is the version of the present one."""
PAGE = 100


class Stock:
    """What there is, and what was sold.

    Args:
        database: The shop's database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        if not self.products():
            for product in FIRST:
                self.add(*product)

    def products(self) -> list[dict[str, Any]]:
        """Return the teas."""
        rows = self._database.all(PRODUCTS + " ORDER BY id")
        return [dict(row) for row in rows]

    def product(self, product_id: int) -> dict[str, Any] | None:
        """Return a product, or None."""
        row = self._database.one(PRODUCTS + " WHERE id = ?", product_id)
        return dict(row) if row else None

    def add(self, name: str, price: int, stock: int) -> None:
        """Add a product."""
        self._database.run(
            "INSERT INTO products (name, price, stock) VALUES (?, ?, ?)", name, price, stock
        )

    def set_picture(self, product_id: int, picture: bytes, kind: str) -> bool:
        """Store the picture of a product; return whether there is one."""
        statement = (
            "UPDATE products SET pictures = pictures + 1, picture = ?, picture_type = ? "
            "WHERE id = ?"
        )
        return self._database.run(statement, picture, kind, product_id) == 1

    def picture(self, product_id: int) -> tuple[bytes, str] | None:
        """Return the picture of a product and its media type, or None."""
        query = "SELECT picture, picture_type FROM products WHERE id = ? AND picture IS NOT NULL"
        row = self._database.one(query, product_id)
        return (row["picture"], row["picture_type"]) if row else None

    def sell(self, product_id: int, person: str) -> bool:
        """Sell one of a product; return whether there was one left."""
        taken = "UPDATE products SET stock = stock - 1 WHERE id = ? AND stock > 0"
        if not self._database.run(taken, product_id):
            return False
        ordered = "INSERT INTO orders (person, product, price) SELECT ?, name, price FROM products"
        self._database.run(f"{ordered} WHERE id = ?", person, product_id)
        return True

    def orders(self, person: str) -> list[dict[str, Any]]:
        """Return the last orders of a person, newest first."""
        query = "SELECT id, product, price FROM orders WHERE person = ? ORDER BY id DESC LIMIT ?"
        return [dict(row) for row in self._database.all(query, person, PAGE)]

    def lines(self, person: str) -> Iterator[str]:
        """Return all orders of a person as lines of CSV, page by page."""
        yield "order,product,price\n"
        last = 0
        query = "SELECT id, product, price FROM orders WHERE person = ? AND id > ? LIMIT ?"
        while rows := self._database.all(query, person, last, PAGE):
            yield "".join(f"{row['id']},{row['product']},{row['price']}\n" for row in rows)
            last = rows[-1]["id"]
