"""What goes wrong, said once: every refusal is an OsteonError with a machine code and a remedy.

The edges (command line, HTTP) print these as one line; nothing else in Osteon formats errors for people.
"""

from __future__ import annotations


class OsteonError(Exception):
    """A refusal that a person can act on.

    Attributes:
        code: short machine code in kebab-case, for example ``missing-slice``; stable across versions.
        what: what is wrong, with the offending value.
        where: the file, case, key or URL it was found in; never a patient field.
        remedy: what the reader can do about it.
    """

    def __init__(self, code: str, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(code, what, where, remedy)
        self.code = code
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" — {self.remedy}" if self.remedy else ""
        return f"{place}{self.what} [{self.code}]{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.code, self.what, self.where, self.remedy))

    def at(self, where: str) -> OsteonError:
        """The same error, found in ``where``."""
        return type(self)(self.code, self.what, where=where, remedy=self.remedy)


class BadScan(OsteonError):
    """A source file that must not become a case: a reader's refusal. One bad scan never stops the others."""


class BadInput(OsteonError):
    """An argument, recipe key, label map or URL that cannot be used."""


class CorruptData(OsteonError):
    """Stored bytes that are not what was written: a flipped bit, a lost shard, a torn checkpoint."""


class StoreError(OsteonError):
    """The folder or object store refuses, does not answer or is full: credentials, network, disk."""


class Conflict(OsteonError):
    """Somebody else wrote, or is writing, the same thing."""


def _rebuild(kind: type[OsteonError], code: str, what: str, where: str, remedy: str) -> OsteonError:
    return kind(code, what, where=where, remedy=remedy)
