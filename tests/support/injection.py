"""HTML that runs JavaScript or Python, and what makes HTML of a string in a browser."""

from __future__ import annotations

import json

PYTHON = "import js; js.ran.push('{}')"
PAYLOADS = {
    "script": "<script>ran.push('script')</script>",
    "onerror": "<img src='data:,' onerror=\"ran.push('onerror')\">",
    "py-script": f"<py-script>{PYTHON.format('py-script')}</py-script>",
    "type=py": f'<script type="py">{PYTHON.format("type=py")}</script>',
    "type=mpy": f'<script type="mpy">{PYTHON.format("type=mpy")}</script>',
    "py-click": '<button py-click="js.press">Injected</button>',
}
"""PyScript calls what ``py-click`` names; the scripts before it have imported ``js``."""

SINKS = {
    "innerHTML": "place.innerHTML = html",
    "outerHTML": "place.append(document.createElement('p')); place.firstChild.outerHTML = html",
    "insertAdjacentHTML": "place.insertAdjacentHTML('beforeend', html)",
    "createContextualFragment": (
        "place.append(document.createRange().createContextualFragment(html))"
    ),
    "parseFromString": (
        "place.append(...new DOMParser().parseFromString(html, 'text/html').body.childNodes)"
    ),
    "setHTMLUnsafe": "place.setHTMLUnsafe(html)",
    "parseHTMLUnsafe": "place.append(...Document.parseHTMLUnsafe(html).body.childNodes)",
    "shadow": "place.attachShadow({ mode: 'open' }).innerHTML = html",
    "shadow, unsafe": "place.attachShadow({ mode: 'open' }).setHTMLUnsafe(html)",
    "template": (
        "const template = document.createElement('template');"
        "template.innerHTML = html; place.append(template.content)"
    ),
    "srcdoc": "const frame = document.createElement('iframe'); frame.srcdoc = html",
    "srcdoc attribute": "document.createElement('iframe').setAttribute('srcdoc', html)",
    "insertHTML": "document.execCommand('insertHTML', false, html)",
}
WRITES = {"write": "document.write(html)", "writeln": "document.writeln('', html)"}
"""Where nothing refuses them, these replace the whole page."""

SCRIPTS = {
    "text": "document.createElement('script').text = 'ran.push(1)'",
    "textContent": "document.createElement('script').textContent = 'ran.push(1)'",
    "src": "document.createElement('script').src = '/app/boot.js'",
    "handler": "place.setAttribute('onclick', 'ran.push(1)')",
    "timer": "setTimeout('ran.push(1)')",
}
"""Strings that become scripts without any HTML; only Trusted Types refuse all of them."""

RAN = "[...new Set(ran)].sort()"
PRESS = "[...document.querySelectorAll('[py-click]')].map((button) => button.click()).length"
MARKED = "document.documentElement.dataset.marked"
MARK = """(() => {
    const script = document.createElement("py-script");
    script.append("import js; js.document.documentElement.dataset.marked = 'true'");
    document.body.append(script);
})()"""
"""Runs Python without any HTML. PyScript runs one script after another, so what was injected before
has run once the page is marked."""

_PUT = """(() => {
    const passed = [];
    window.ran = [];
    window.press = () => ran.push("py-click");
    const put = (name, into) => {
        const place = document.createElement("div");
        document.body.append(place);
        try {
            into(place);
            passed.push(name);
        } catch (error) {
            if (!(error instanceof TypeError)) passed.push(`${name}: ${error}`);
        }
    };
    %s
    return passed;
})()"""


def put(sinks: dict[str, str], payloads: dict[str, str] | None = None) -> str:
    """Return an expression that puts each payload through each sink.

    Its value lists the attempts that the browser did not refuse by a ``TypeError``. What runs is in
    ``window.ran`` later.
    """
    return _PUT % "\n".join(
        f"put({json.dumps(f'{sink}: {payload}')}, (place) => {{"
        f" const html = {json.dumps(html)}; {code} }});"
        for sink, code in sinks.items()
        for payload, html in (payloads or PAYLOADS).items()
    )
