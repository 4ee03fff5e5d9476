"""Checkpoints of a run: one file of state and a manifest put last. What has no whole manifest does not exist.

``checkpoints/step-000000500/state.pt`` loads with ``weights_only=True``; ``manifest.json`` beside it has its SHA-256.
A writer killed in between leaves a file that nobody reads; a state whose bytes are not the manifest's is passed over.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from osteon.core.errors import CorruptData
from osteon.storage.stores import Store

STATE = "state.pt"
MANIFEST = "manifest.json"


class CheckpointManifest(BaseModel):
    """What a checkpoint holds.

    Attributes:
        step: optimiser steps done.
        dice: mean validation Dice of the network it holds, where it was validated.
        sha256: of the state file, in hexadecimal.
        num_bytes: length of the state file.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    dice: float | None
    sha256: str
    num_bytes: int


Loaded = tuple[CheckpointManifest, dict[str, Any]]
"""A checkpoint and its state."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Attributes:
        store: the folder they lie in.
    """

    store: Store

    def save(self, state: dict[str, Any], *, step: int, dice: float | None) -> CheckpointManifest:
        """Write ``state`` (tensors and plain values) as the checkpoint of ``step``; it exists once this returns."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
        manifest = CheckpointManifest(
            step=step, dice=dice, sha256=hashlib.sha256(data).hexdigest(), num_bytes=len(data)
        )
        folder = _folder(step)
        self.store.write_bytes(f"{folder}/{STATE}", data)
        self.store.write_bytes(f"{folder}/{MANIFEST}", manifest.model_dump_json(indent=2).encode())
        return manifest

    def manifests(self) -> list[CheckpointManifest]:
        """The checkpoints with a readable manifest, in order of step."""
        found = (self._manifest(name) for name in self.store.list_children())
        return sorted((manifest for manifest in found if manifest is not None), key=lambda manifest: manifest.step)

    def load(self, manifest: CheckpointManifest) -> dict[str, Any]:
        """The state of a checkpoint.

        Raises:
            CorruptData: ``torn-checkpoint`` if its bytes are not those that were written.
        """
        key = f"{_folder(manifest.step)}/{STATE}"
        try:
            data = self.store.read_bytes(key)
        except FileNotFoundError:
            data = b""
        if len(data) != manifest.num_bytes or hashlib.sha256(data).hexdigest() != manifest.sha256:
            raise CorruptData(
                "torn-checkpoint",
                f"the {len(data)} bytes are not the {manifest.num_bytes} that were written",
                where=f"{self.store.url}/{key}",
                remedy="resume: an earlier checkpoint is used",
            )
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return state

    def latest(self) -> Loaded | None:
        """The newest checkpoint that is whole; torn ones are named in a warning."""
        return self._first_whole(self.manifests()[::-1])

    def best(self) -> Loaded | None:
        """The whole checkpoint of the highest validation Dice (the later of equals), or the newest if none has one."""
        return self._first_whole(self._by_dice()) or self.latest()

    def prune(self, *, keep_best: int) -> None:
        """Delete all but the newest two and the ``keep_best`` of highest Dice; also what killed writers left."""
        manifests = self.manifests()
        # Two, so that a newest one that turns out torn leaves something to resume from.
        kept = {manifest.step for manifest in [*manifests[-2:], *self._by_dice()[:keep_best]]}
        newest = manifests[-1].step if manifests else 0
        for name in self.store.list_children():
            step = _step(name)
            if step is not None and step < newest and step not in kept:
                self.store.delete(f"{name}/{MANIFEST}")  # first, so that a half-deleted checkpoint is none
                self.store.delete(name)

    def _first_whole(self, manifests: Iterable[CheckpointManifest]) -> Loaded | None:
        for manifest in manifests:
            try:
                return manifest, self.load(manifest)
            except CorruptData as error:
                warnings.warn(f"passed over: {error}", RuntimeWarning, stacklevel=3)
        return None

    def _by_dice(self) -> list[CheckpointManifest]:
        judged = [
            (manifest.dice, manifest.step, manifest) for manifest in self.manifests() if manifest.dice is not None
        ]
        return [manifest for _, _, manifest in sorted(judged, key=lambda item: item[:2], reverse=True)]

    def _manifest(self, name: str) -> CheckpointManifest | None:
        step = _step(name)
        try:
            manifest = CheckpointManifest.model_validate_json(self.store.read_bytes(f"{name}/{MANIFEST}"))
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None
        return manifest if manifest.step == step else None


def _folder(step: int) -> str:
    return f"step-{step:09d}"


def _step(name: str) -> int | None:
    digits = name.removeprefix("step-")
    return int(digits) if digits.isdecimal() and name == _folder(int(digits)) else None
