"""Reading the challenges of a refused request (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re

from unexpired.messages import Response

# Challenges are schemes and their parameters, so words without and with a value:
# `Bearer realm="…", error="invalid_token"` (RFC 6750, section 3).
_PART = re.compile(r"""([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*))?""")
_SCHEMES = {"bearer", "dpop"}  # DPoP: RFC 9449, section 7.1.


def challenge_errors(response: Response) -> set[str]:
    """Return the errors in the challenges for our token; empty if there is none."""
    errors, scheme = set(), ""
    for match in _PART.finditer(response.headers.get("www-authenticate", "")):
        name, value = match[1].lower(), match[2]
        if value is None:
            scheme = name
        elif name == "error" and scheme in _SCHEMES:
            errors.add(value.strip('"').lower())
    return errors
