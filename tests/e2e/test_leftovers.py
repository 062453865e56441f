"""What many calls leave behind in a page: nothing."""

import os

import pytest

from tests.e2e.browser_library import Library
from tests.e2e.conftest import ContextFactory, ServerFactory

CALLS = int(os.environ.get("CALLS", "2000"))
AT_ONCE = 50
WARM_UP = 500
# What comes and goes by itself, as timers that are shared and caches; a leak is one for each call.
SPARE = {"timers": 3, "proxies": 0, "references": 10, "objects": 200, "bytes": 100_000, "memory": 0}

# The response is the browser's own, so that thousands take seconds. Pyodide counts with
# `pyproxy_alloc_map` what JavaScript holds of Python, and with `hiwire` the other direction.
SETUP = f"""
import gc, tracemalloc
from pyodide_js import _module
from pyodide.code import run_js

tracemalloc.start()
_module.enable_pyproxy_allocation_tracing()
js_timers = run_js('''
(() => {{
  const [set, clear, send, pending] = [setTimeout, clearTimeout, fetch, new Set()];
  globalThis.setTimeout = (work, ...rest) => {{
    const timer = set(() => {{ pending.delete(timer); work(); }}, ...rest);
    pending.add(timer);
    return timer;
  }};
  globalThis.clearTimeout = (timer) => {{ pending.delete(timer); clear(timer); }};
  globalThis.fetch = (url, init) => send(url.endsWith("/short") ? "data:,short" : url, init);
  return pending;
}})()
''')

async def call(times):
    for _ in range(times // {AT_ONCE}):
        calls = [client.get("/short") for _ in range({AT_ONCE})]
        assert {{response.text for response in await asyncio.gather(*calls)}} == {{"short"}}

async def count():
    await asyncio.sleep(0.1)
    gc.collect()
    return {{
        "timers": js_timers.size,
        "proxies": _module.pyproxy_alloc_map.size,
        "references": _module._hiwire_num_refs(),
        "objects": len(gc.get_objects()),
        "bytes": tracemalloc.get_traced_memory()[0],
        "memory": _module.HEAP8.length,
    }}
"""


@pytest.fixture(scope="module")
def left(context_of: ContextFactory, serve: ServerFactory) -> dict[str, int]:
    """What there is more after many calls than before them."""
    library = Library(context_of(serve().url).new_page())
    library.reset()
    library.sign_in()
    library.run(f"{SETUP}\nNone")
    library.run(f"await call({WARM_UP})\nawait count()\nNone")
    before = library.run("await count()")
    library.run(f"await call({CALLS})\nNone")
    after = library.run("await count()")
    library.page.close()
    return {kind: after[kind] - before[kind] for kind in before}


@pytest.mark.parametrize("kind", SPARE)
def test_calls_leave_nothing_behind(left: dict[str, int], kind: str) -> None:
    """Neither timers nor proxies, references to JavaScript, objects, or memory."""
    assert left[kind] <= SPARE[kind]
