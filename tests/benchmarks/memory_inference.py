"""Peak memory of a process that gives a noise scan 126 classes; run as a script it is that process."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from osteon.core.geometry import Grid, Index3
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.models.build import build
from osteon.models.network import Network
from osteon.models.volume_specs import UNet3dSpec

CLASSES = 126
CHANNELS = (16, 32)  # as many features as the recipes have, and light
WINDOW: Index3 = (64, 64, 64)


def measure(who: str, shape: Index3) -> tuple[float, float]:
    """Peak memory in MB and seconds of ``ours`` or ``monai`` on a scan of ``shape``, in a process of its own."""
    command = [sys.executable, str(Path(__file__)), who, *map(str, shape)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak, seconds = done.stdout.split()[-2:]
    return float(peak), float(seconds)


def main() -> None:
    """Label once; print peak memory in MB and seconds."""
    options = argparse.ArgumentParser()
    options.add_argument("who", choices=["ours", "monai"])
    options.add_argument("shape", type=int, nargs=3)
    chosen = options.parse_args()
    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1500, chosen.shape, dtype=np.int16)
    torch.manual_seed(0)
    network = build(UNet3dSpec(channels=CHANNELS, num_auxiliary=0), num_classes=CLASSES).eval()
    began = time.monotonic()
    labels = {"ours": ours, "monai": monai}[chosen.who](hu, network)
    if labels.shape != hu.shape:
        raise SystemExit(f"labels of shape {labels.shape} for a scan of {hu.shape}")
    print(_peak_mb(), time.monotonic() - began)


def ours(hu: npt.NDArray[np.int16], network: Network) -> npt.NDArray[np.uint8]:
    """Labels by Osteon, every window computed."""
    from osteon.inference.backends import open_backend
    from osteon.inference.in_memory import InMemoryVolume
    from osteon.inference.stream import stream_labels
    from osteon.inference.windows import StreamSpec

    backend = open_backend(network, "openvino", WINDOW)
    spec = StreamSpec(window_shape=WINDOW, bone_floor_hu=None)
    scan = InMemoryVolume(hu, Grid((hu.shape[0], hu.shape[1], hu.shape[2])))
    labels = np.empty(hu.shape, np.uint8)
    for z, block in stream_labels(scan, backend, spec, Intensity(), ModelGrid(), zones=None):
        labels[z : z + len(block)] = block
    return labels


def monai(hu: npt.NDArray[np.int16], network: Network) -> npt.NDArray[np.uint8]:
    """Labels by MONAI, as its tutorials do it."""
    from monai.inferers.utils import sliding_window_inference

    with torch.inference_mode():
        input_ = Intensity().apply(torch.from_numpy(hu))[None, None]
        logits = sliding_window_inference(input_, WINDOW, 1, network, overlap=0.5, mode="gaussian")
        assert isinstance(logits, torch.Tensor)
        return logits.argmax(1)[0].to(torch.uint8).numpy()


def _peak_mb() -> float:
    """Of this program alone: getrusage would count the process it was forked from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main()
