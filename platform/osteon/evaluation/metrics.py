"""How well a segmentation meets its reference, per bone. Knows label arrays and grids; no files, no networks."""

from osteon.evaluation.overlap import dice_per_class

__all__ = ["dice_per_class"]
