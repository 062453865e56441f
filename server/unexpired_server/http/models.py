"""What the models of request and response bodies share.

A response body is always an instance of the model that the OpenAPI document is made from, so the
document cannot say anything else than the server sends.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

NonEmptyStr = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]*$")]
"""Also without NUL, which PostgreSQL cannot store."""


class RequestModel(BaseModel):
    """A request body: camelCase outside, strict types; unknown members are ignored."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True, frozen=True, alias_generator=to_camel, hide_input_in_errors=True
    )


class ResponseModel(BaseModel):
    """A response body: camelCase outside; members that have their default are left out."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, hide_input_in_errors=True
    )

    def to_json(self) -> bytes:
        """Return the body as compact JSON."""
        # The serializer itself: `model_dump_json` costs twice as much, and decodes to text.
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_defaults=True)


class ReasonOut(ResponseModel):
    """Why a node is not ready: a stable word for programs, a sentence for operators."""

    check: str
    message: str


class ErrorOut(ResponseModel):
    """What went wrong: a sentence for people, a code for programs."""

    error: str
    code: str
    expired_at: str | None = None
    reasons: list[ReasonOut] | None = None
    nonce: str | None = None


class SecondStepOut(ResponseModel):
    """That a sign-in needs one more step; the application adds members of its own."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    error: str
    code: str
