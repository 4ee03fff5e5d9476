"""Networks that are small enough to be trained in a test; a new architecture adds its numbers."""

from typing import Any

TINY: dict[str, dict[str, Any]] = {
    "unet3d": {"channels": [4, 6, 8], "num_auxiliary": 1},
    "classic-unet3d": {"channels": [4, 6, 8], "num_auxiliary": 1},
    "resunet3d": {"channels": [4, 6, 8], "num_auxiliary": 1},
    "segnet3d": {"channels": [4, 6], "depths": [2, 3]},
    "kiunet3d": {"channels": [4, 6]},
    "vnet": {"width": 4, "depths": [1, 2]},
    "nnunet": {
        "channels": [4, 6, 8],
        "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        "num_auxiliary": 1,
    },
    "hooknet": {"channels": [4, 6, 8]},
    "mrn": {"channels": [4, 6, 8], "contexts": 2},
    "sneakynet": {"channels": [4, 6, 8], "contexts": 2},
    "fcn32": {"channels": [4, 6, 8], "hidden": 32},
    "fcn8": {"channels": [4, 6, 8], "hidden": 32},
    "pspnet": {"channels": [4, 6, 8, 8], "pyramid": 6},
    "unet2d": {"channels": [4, 6, 8], "decoder": [4, 6, 8]},
    "segnet2d": {"channels": [4, 6], "bottleneck": 8},
    "unet2d-vgg16": {"decoder": [4, 6, 8, 8]},
    "unet2d-resnet50": {"decoder": [4, 6, 8, 8]},
    "multiaxial": {"channels": [4, 6, 8]},
    "ensemble": {"members": 2, "member": {"architecture": "hooknet", "channels": [4, 6, 8]}},
}
"""Numbers that make a network of each architecture small."""
