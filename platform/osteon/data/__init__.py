"""Patches, augmentation and phantoms: from volumes to training batches. Meets storage only through the Volume protocol."""
