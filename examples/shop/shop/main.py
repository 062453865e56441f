"""The application; run it with ``uvicorn shop.main:app``.

``SHOP_DATA`` is the folder of its data, ``SHOP_PAGE`` that of its page.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request, UploadFile, WebSocket
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from shop.database import Database
from shop.live import Channel, event_stream
from shop.people import SCOPES, NameTakenError, People
from shop.stock import Stock
from unexpired_server import Auth, InvalidPasswordError, Passwords, Settings, User

DATA = Path(os.environ.get("SHOP_DATA", "data"))
PAGE = os.environ.get("SHOP_PAGE", "page")
LARGEST_PICTURE = 5_000_000  # bytes
PICTURES = {"image/png", "image/jpeg", "image/webp"}
"""Not SVG, which may bring scripts of its own."""

DATA.mkdir(exist_ok=True)
database = Database(DATA / "shop.sqlite3")
people, stock = People(database, Passwords()), Stock(database)
feed, chat = Channel(), Channel()
auth = Auth(
    Settings(
        database_url=f"sqlite+aiosqlite:///{DATA.resolve()}/sessions.sqlite3",
        keys_file=DATA / "keys.json",
    ),
    users=people,
)

app = FastAPI(title="The tea shop", lifespan=auth.lifespan)
auth.install(app, prefix="/api")

SignedIn = Annotated[User, Depends(auth.user)]
Customer = Annotated[User, Depends(auth.requires("orders"))]


class NewPerson(BaseModel):
    """Who wants an account."""

    username: str = Field(min_length=1, max_length=40)
    password: str = Field(min_length=8, max_length=200)


# -- For everybody ---------------------------------------------------------------------------------


@app.get("/api/teas")
def teas() -> list[dict[str, Any]]:
    return stock.products()


@app.get("/api/products/{product_id}/picture")
def picture(product_id: int) -> Response:
    if (found := stock.picture(product_id)) is None:
        raise HTTPException(404, "This product has no picture.")
    content, kind = found
    return Response(content, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})


@app.post("/api/people", status_code=201)
async def sign_up(new: NewPerson, request: Request) -> JSONResponse:
    try:
        person = await people.add(new.username, new.password)
    except NameTakenError:
        raise HTTPException(409, "Somebody has this name already.") from None
    except InvalidPasswordError as exc:
        raise HTTPException(422, str(exc)) from None
    tokens = await auth.open_session(person, request)
    return JSONResponse(tokens, 201, headers={"Cache-Control": "no-store"})


# -- For customers ---------------------------------------------------------------------------------


@app.post("/api/products/{product_id}/order", status_code=201)
async def order(product_id: int, customer: Customer) -> dict[str, str]:
    if stock.product(product_id) is None:
        raise HTTPException(404, "There is no such product.")
    if not stock.sell(product_id, customer.id):
        raise HTTPException(409, "The last one has just been sold.")
    feed.send(stock.product(product_id))
    return {"status": "ordered"}


@app.get("/api/orders")
def orders(customer: Customer) -> list[dict[str, Any]]:
    return stock.orders(customer.id)


@app.get("/api/orders.csv")
def orders_as_csv(customer: Customer) -> StreamingResponse:
    return StreamingResponse(stock.lines(customer.id), media_type="text/csv")


@app.get("/api/feed")
async def follow(user: SignedIn, last_event_id: Annotated[str, Header()] = "") -> StreamingResponse:
    seconds = user.claims["exp"] - time.time()
    events = event_stream(feed, last_event_id, seconds)
    return StreamingResponse(events, media_type="text/event-stream")


@app.websocket("/api/chat")
async def talk(websocket: WebSocket) -> None:
    async with auth.socket(websocket) as socket:
        person = await people.find(socket.user.id)

        async def pass_on() -> None:
            with chat.listening() as queue:
                while True:
                    await socket.send_text((await queue.get())[1])

        passing = asyncio.create_task(pass_on())
        try:
            async for message in socket.iter_json():
                chat.send({"from": person and person.username, "text": str(message["text"])[:500]})
        finally:
            passing.cancel()


# -- For the staff ---------------------------------------------------------------------------------


@app.put(
    "/api/products/{product_id}/picture",
    dependencies=[Depends(auth.requires("teas:write"))],
    status_code=204,
)
async def set_picture(product_id: int, file: UploadFile) -> None:
    if file.content_type not in PICTURES:
        raise HTTPException(415, "Please choose a picture: PNG, JPEG or WebP.")
    content = await file.read(LARGEST_PICTURE + 1)
    if len(content) > LARGEST_PICTURE:
        raise HTTPException(413, "Please choose a smaller picture, of at most 5 MB.")
    if not stock.set_picture(product_id, content, file.content_type):
        raise HTTPException(404, "There is no such product.")
    feed.send(stock.product(product_id))


@app.put(
    "/api/people/{name}/role",
    dependencies=[Depends(auth.requires("people:write"))],
    status_code=204,
)
def set_role(name: str, role: str) -> None:
    if role not in SCOPES:
        raise HTTPException(422, "There is no such role.")
    if not people.set_role(name, role):
        raise HTTPException(404, "There is nobody of this name.")


app.mount("/", StaticFiles(directory=PAGE, html=True))
