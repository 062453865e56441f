"""Sign in at an identity provider that speaks OpenID Connect.

Ready providers are in ``unexpired.oidc.presets``, which is imported only where it is used.
"""

from __future__ import annotations

from unexpired.oidc.provider import Provider

__all__ = ["Provider"]
