"""Patches, augmentation and phantoms: from volumes to training batches.

Meets storage only through the protocols of `osteon.core.volume`.
"""
