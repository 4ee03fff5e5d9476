"""A job as it is handed to a cluster: a command line, the files that go along, and an id that is the work's own."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from osteon.jobs.submit_spec import JobSpec

DIGITS = 12  # of the digest that ends up in an id


@dataclass(frozen=True)
class Order:
    """A job as it is handed over.

    Attributes:
        spec: what the file said.
        words: the command line, without ``osteon``.
        files: contents of the files that go along, by the paths that the words name them by.
    """

    spec: JobSpec
    words: tuple[str, ...]
    files: Mapping[str, bytes]

    @property
    def entrypoint(self) -> str:
        """The command line, for a shell."""
        return shlex.join(("osteon", *self.words))

    @property
    def name(self) -> str:
        """For people."""
        return self.spec.name or self.spec.job

    @cached_property
    def id(self) -> str:
        """The same for the same work: command, files, resources and store; whatever it is called."""
        digests = {path: hashlib.sha256(content).hexdigest() for path, content in self.files.items()}
        work = [self.words, digests, self.spec.resources.model_dump(), self.spec.storage.model_dump()]
        digest = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
        return f"{self.spec.job}-{digest[:DIGITS]}"
