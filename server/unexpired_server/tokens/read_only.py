"""JSON values that nobody can change, as verified tokens are cached and shared."""

from __future__ import annotations

from typing import Any, NoReturn


class ReadOnlyDict(dict[str, Any]):
    """A dictionary that refuses changes; a copy of it is an ordinary one."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("The claims of a token cannot be changed: change a copy, dict(claims)")

    __setitem__: Any = _refuse
    __delitem__: Any = _refuse
    __ior__: Any = _refuse
    clear: Any = _refuse
    pop: Any = _refuse
    popitem: Any = _refuse
    setdefault: Any = _refuse
    update: Any = _refuse

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """Copy as an ordinary dictionary."""
        return dict, (dict(self),)


NESTED = (dict, list, tuple)
PLAIN = frozenset({str, int, float, bool, type(None)})


def read_only(value: Any) -> Any:
    """Return a JSON value with dictionaries that refuse changes, and tuples for lists."""
    if isinstance(value, dict):
        # Most claims are flat: to see that, and a plain copy, take half of the time.
        if PLAIN.issuperset(map(type, value.values())):
            return ReadOnlyDict(value)
        nested = {name: read_only(one) for name, one in value.items() if isinstance(one, NESTED)}
        return ReadOnlyDict(value | nested if nested else value)
    if isinstance(value, list | tuple):
        return tuple(map(read_only, value))
    return value
