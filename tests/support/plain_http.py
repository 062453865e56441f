"""httpx for servers of this machine, over plain HTTP.

Each ``httpx.get`` and each ``httpx.Client`` reads the certificates of all authorities, which
takes 25 ms of processor time: longer than most of what the tests ask for.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Client = partial(httpx.Client, verify=_NO_AUTHORITIES)
get = partial(httpx.get, verify=_NO_AUTHORITIES)
post = partial(httpx.post, verify=_NO_AUTHORITIES)
request = partial(httpx.request, verify=_NO_AUTHORITIES)
