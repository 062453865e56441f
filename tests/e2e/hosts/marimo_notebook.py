"""A marimo notebook that runs the story; `marimo export html-wasm` makes a page of it."""

# mypy: ignore-errors
import marimo

app = marimo.App()


@app.cell
async def _():
    import js
    import marimo as mo

    scope = {}
    exec(await (await js.fetch("/app/story.py")).text(), scope)
    mo.plain_text(await scope["story"]())


if __name__ == "__main__":
    app.run()
