"""What the reader of docs/how-to/from-simplejwt.md has already: Django's tables, with ada."""

from __future__ import annotations

import os

import django
from django.core.management import call_command

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    django.setup()
    from django.contrib.auth.models import User

    call_command("migrate", verbosity=0)
    User.objects.create_user("ada", password="correct horse")
