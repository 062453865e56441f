"""Requests of a page that are held or fail."""

from collections.abc import Callable

from playwright.sync_api import Page, Route


def hold(page: Page, pattern: str) -> Callable[[], None]:
    """Hold every request that matches until the returned function is called."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    def release() -> None:
        for route in held:
            route.continue_()
        page.unroute(pattern, keep)

    page.route(pattern, keep)
    return release


def lose(page: Page, pattern: str) -> Callable[[], None]:
    """Abort every request that matches until the returned function is called."""

    def abort(route: Route) -> None:
        route.abort()

    page.route(pattern, abort)
    return lambda: page.unroute(pattern, abort)
