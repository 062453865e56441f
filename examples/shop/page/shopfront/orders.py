"""What this person has ordered, and the feed of what happens in the shop."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pyscript import when

from shopfront import teas
from shopfront.page import client, errors_shown, find, items
from unexpired import UnexpiredError


async def show() -> None:
    """Show the last orders."""
    with errors_shown():
        response = await client.get("/api/orders")
        rows = response.raise_for_status().json()
        items("#orders", [f"{row['product']}, {row['price'] / 100:.2f} €" for row in rows])


async def follow() -> None:
    """Show what changes in the shop, for as long as the session lives."""
    try:
        async for event in client.events("/api/feed"):
            if product := json.loads(event.data):
                teas.show_product(product)
            else:  # The feed begins: from now on it says what changes.
                await teas.show()
            await show()
    except UnexpiredError:
        return  # Signed out: who signs in again follows again.


@when("click", "#download")
async def count(_event: Any) -> None:
    lines = 0
    with errors_shown():
        async with client.stream("GET", "/api/orders.csv") as response:
            response.raise_for_status()
            async for _line in response.aiter_lines():
                lines += 1
        find("#downloaded").textContent = f"{lines - 1} orders"


class Following:
    """Follows the feed once, from sign-in to sign-out."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow, and show the orders."""
        self.stop()
        self._task = asyncio.ensure_future(follow())

    def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
