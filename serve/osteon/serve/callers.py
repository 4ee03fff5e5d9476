"""Who is asking: a name, what it may do, and how much of it. Knows nothing of HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["segment", "read", "admin"]
ROLES: tuple[Role, ...] = ("segment", "read", "admin")
LOCAL = "local"  # the caller of a server without keys


class CallerLimits(BaseModel):
    """How much one caller may ask for; each replica of the Api counts for itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_s: float = Field(default=20.0, gt=0, description="requests per second, on average")
    burst: int = Field(default=100, ge=1, description="requests at once before the average counts")
    uploads: int = Field(default=4, ge=1, description="request bodies being received at once")


class Caller(BaseModel):
    """One who was let in; segmentations belong to the ``name``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    roles: frozenset[Role]
    limits: CallerLimits | None = None

    def may(self, role: Role) -> bool:
        """Whether the caller has the role; an admin has every one."""
        return role in self.roles or "admin" in self.roles
