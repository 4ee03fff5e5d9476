"""The DICOM transfer syntaxes that are read, and what each of them means; all others are refused."""

from __future__ import annotations

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = frozenset({IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN})

LOSSY = frozenset({"1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"})
COMPRESSED = frozenset(
    {
        "1.2.840.10008.1.2.5",  # RLE
        "1.2.840.10008.1.2.4.57",  # JPEG lossless, any predictor
        "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
        *LOSSY,  # JPEG-LS near-lossless, JPEG 2000
    }
)


def is_implicit(syntax: str) -> bool:
    """Whether elements carry no VR."""
    return syntax == IMPLICIT


def is_little_endian(syntax: str) -> bool:
    """Whether numbers are little endian."""
    return syntax != BIG_ENDIAN


def guess(first_element: bytes) -> str:
    """The native syntax of a data set without meta header, from the first bytes of its first element."""
    group, vr = first_element[:2], first_element[4:6]
    if not (vr.isalpha() and vr.isupper()):
        return IMPLICIT
    return BIG_ENDIAN if group[:1] == b"\0" else EXPLICIT
