"""The digital phantom: a made-up person's CT scan with every bone labelled, the same on every machine."""

from osteon.data.phantom.case import FIELDS_OF_VIEW, FieldOfView, Phantom, phantom
from osteon.data.phantom.files import WrittenPhantom, write_phantoms
from osteon.data.phantom.quirks import QUIRKS, Quirk, parse_quirks

__all__ = [
    "FIELDS_OF_VIEW",
    "QUIRKS",
    "FieldOfView",
    "Phantom",
    "Quirk",
    "WrittenPhantom",
    "parse_quirks",
    "phantom",
    "write_phantoms",
]
