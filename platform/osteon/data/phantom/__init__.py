"""The digital phantom: a made-up person's CT scan with every bone labelled, the same on every machine."""

from osteon.data.phantom.case import FIELDS_OF_VIEW, BoneCount, Phantom, phantom

__all__ = ["FIELDS_OF_VIEW", "BoneCount", "Phantom", "phantom"]
