"""The teas, which everybody sees, and its pictures, which the staff uploads."""

from __future__ import annotations

from typing import Any

from pyodide.ffi import create_proxy

from shopfront.page import client, errors_shown, find


async def show() -> None:
    """Show the teas; it needs no session."""
    with errors_shown():
        response = await client.get("/api/teas", auth=False)
        for product in response.raise_for_status().json():
            show_product(product)


def show_product(product: dict[str, Any]) -> None:
    """Show a product as it is now."""
    item = find(f"#product-{product['id']}") or _new_item(product["id"])
    item.querySelector("strong").textContent = product["name"]
    item.querySelector(".price").textContent = f"{product['price'] / 100:.2f} €"
    item.querySelector(".stock").textContent = f"{product['stock']} left"
    item.querySelector(".order").disabled = product["stock"] == 0
    if product["pictures"]:
        picture = item.querySelector("img")
        picture.src = f"/api/products/{product['id']}/picture?version={product['pictures']}"
        picture.hidden = False


def _new_item(product_id: int) -> Any:
    item = find("#product").content.firstElementChild.cloneNode(True)  # noqa: FBT003 - its contents, too
    item.id = f"product-{product_id}"

    async def order(_event: Any) -> None:
        with errors_shown():
            (await client.post(f"/api/products/{product_id}/order")).raise_for_status()

    async def upload(event: Any) -> None:
        with errors_shown():
            await _upload(product_id, event.target.files.item(0), item.querySelector("progress"))

    item.querySelector(".order").addEventListener("click", create_proxy(order))
    item.querySelector("input").addEventListener("change", create_proxy(upload))
    find("#teas").append(item)
    return item


async def _upload(product_id: int, file: Any, bar: Any) -> None:
    def show_progress(sent: int, total: int | None) -> None:
        bar.value = sent / total if total else 0

    bar.hidden = False
    try:
        response = await client.put(
            f"/api/products/{product_id}/picture",
            files={"file": file},
            upload_progress=show_progress,
        )
        response.raise_for_status()
    finally:
        bar.hidden = True
