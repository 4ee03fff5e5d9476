"""Augmentation of whole batches in torch, on the batch's own device: one file per kind, `pipeline` in order."""

from osteon.data.augment.pipeline import AugmentSpec, augment, generator_for

__all__ = ["AugmentSpec", "augment", "generator_for"]
