"""Who may write a case: a small object in its folder, put conditionally, that names the source.

Two writers of one source may both write, for their bytes are the same; writers of different sources may not.
A claim lives from `take_claim` to the commit; one that a killed ingest left is taken up by the same source again.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from osteon.core.errors import Conflict
from osteon.storage.provenance import Provenance
from osteon.storage.stores import Store

CLAIM_KEY = "claim.json"


class Claim(BaseModel):
    """A source that wants to become a case.

    Attributes:
        source_digest: of the image's source.
        labels_digest: of the labels' source; None where the writer does not say, which matches any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_digest: str
    labels_digest: str | None = None

    def matches(self, other: Claim) -> bool:
        """Whether both are of one source."""
        undecided = self.labels_digest is None or other.labels_digest is None
        return self.source_digest == other.source_digest and (undecided or self.labels_digest == other.labels_digest)

    @classmethod
    def of(cls, provenance: Provenance) -> Claim:
        """The claim of what was committed."""
        return cls(source_digest=provenance.source_digest, labels_digest=provenance.labels_digest)


def take_claim(store: Store, prefix: str, claim: Claim, *, replace: bool) -> None:
    """Claim the case's folder, or find that the same source has; with ``replace`` another's claim is overruled.

    Raises:
        Conflict: ``other-source``.
    """
    if store.create_bytes(f"{prefix}/{CLAIM_KEY}", _encoded(claim)):
        return
    holder = held_claim(store, prefix)
    if holder is not None and claim.matches(holder):
        return
    if holder is not None and not replace:
        raise other_source(prefix)
    put_claim(store, prefix, claim)


def put_claim(store: Store, prefix: str, claim: Claim) -> None:
    """Claim the case's folder whoever holds it."""
    store.write_bytes(f"{prefix}/{CLAIM_KEY}", _encoded(claim))


def held_claim(store: Store, prefix: str) -> Claim | None:
    """The claim on a case's folder; None if there is none, or none that can be read (a power cut tore it)."""
    try:
        return Claim.model_validate_json(store.read_bytes(f"{prefix}/{CLAIM_KEY}"))
    except (FileNotFoundError, ValidationError):
        return None


def release_claim(store: Store, prefix: str) -> None:
    """Give the folder free; a committed case guards it from then on."""
    store.delete(f"{prefix}/{CLAIM_KEY}")


def other_source(prefix: str) -> Conflict:
    """The refusal of a second source under one id."""
    return Conflict(
        "other-source",
        "this id belongs to another source, committed or being written",
        where=prefix,
        remedy="give the scan another id, or pass --replace if nothing else is ingesting it",
    )


def _encoded(claim: Claim) -> bytes:
    return claim.model_dump_json().encode()
