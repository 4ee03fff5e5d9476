"""How others read random patches: nnU-Net's dataset class, MONAI's PersistentDataset, zarr-python on s3fs.

nnU-Net is installed without its dependencies (`make bench` does that); its dataset class is used as its loader does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import s3fs
import torch
import zarr
from scan import Scan, normalise

from osteon.core.geometry import Index3

CASE = "scan"


class Patches(Protocol):
    """Something that reads patches; picklable, so that worker processes can read too."""

    @property
    def name(self) -> str:
        """What it is called in the table."""
        ...

    def read(self, starts: Sequence[Index3]) -> None:
        """Read image and labels of the patches that begin at ``starts``, one after the other."""
        ...


@dataclass(frozen=True)
class NnunetPatches:
    """nnU-Net 2.8.1: as its data loader does per sample, without augmentation."""

    folder: str
    side: int
    name: str = "nnU-Net 2.8.1 dataset"

    @classmethod
    def prepare(cls, folder: Path, scan: Scan, side: int) -> NnunetPatches:
        """Save the scan as its preprocessor does."""
        from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2

        folder.mkdir()
        data, seg = normalise(scan.image)[None], scan.labels[None].astype(np.int16)
        blocks, chunks = comp_blosc2_params(data.shape, (side,) * 3, data.itemsize)
        blocks_seg, chunks_seg = comp_blosc2_params(seg.shape, (side,) * 3, seg.itemsize)
        properties: dict[str, object] = {"class_locations": {}}
        target = str(folder / CASE)
        nnUNetDatasetBlosc2.save_case(
            data, seg, properties, target, chunks=chunks, blocks=blocks, chunks_seg=chunks_seg, blocks_seg=blocks_seg
        )
        return cls(str(folder), side)

    def read(self, starts: Sequence[Index3]) -> None:
        """Open the case anew for each patch, crop, convert: `nnUNetDataLoader.generate_train_batch`."""
        from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
        from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

        dataset = nnUNetDatasetBlosc2(self.folder)
        for start in starts:
            data, seg, _, _ = dataset.load_case(CASE)
            box = [[first, first + self.side] for first in start]
            torch.from_numpy(crop_and_pad_nd(data, box, 0)).float()
            torch.from_numpy(crop_and_pad_nd(seg, box, -1, cast_cropped_to=np.int16)).to(torch.int16)


@dataclass(frozen=True)
class MonaiPatches:
    """MONAI: a PersistentDataset whose cache holds the normalised scan, and a random crop after it."""

    folder: str
    side: int
    name: str = "MONAI PersistentDataset"

    @classmethod
    def prepare(cls, folder: Path, scan: Scan, side: int) -> MonaiPatches:
        """Fill the cache."""
        folder.mkdir()
        np.save(folder / "image.npy", normalise(scan.image))
        np.save(folder / "label.npy", scan.labels)
        patches = cls(str(folder), side)
        patches.read([(0, 0, 0)])
        return patches

    def read(self, starts: Sequence[Index3]) -> None:
        """Take as many items; where MONAI crops it draws itself."""
        from monai.data.dataset import PersistentDataset
        from monai.transforms.compose import Compose
        from monai.transforms.croppad.dictionary import RandSpatialCropd
        from monai.transforms.utility.dictionary import EnsureChannelFirstd, Lambdad

        keys = ["image", "label"]
        transform = Compose(
            [
                Lambdad(keys, np.load),
                EnsureChannelFirstd(keys, channel_dim="no_channel"),
                RandSpatialCropd(keys, roi_size=(self.side,) * 3, random_size=False),
            ]
        )
        files = {key: f"{self.folder}/{key}.npy" for key in keys}
        dataset = PersistentDataset([files], transform, cache_dir=f"{self.folder}/cache")
        for _ in starts:
            dataset[0]


@dataclass(frozen=True)
class S3fsPatches:
    """zarr-python on s3fs: the arrays of an Osteon case, opened as anybody would."""

    bucket: str
    path: str
    side: int
    name: str = "zarr-python + s3fs"

    def read(self, starts: Sequence[Index3]) -> None:
        """Slice both arrays."""
        files = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], asynchronous=True)
        store = zarr.storage.FsspecStore(files, read_only=True, path=f"{self.bucket}/{self.path}")
        group = zarr.open_group(store, mode="r")
        for start in starts:
            region = tuple(slice(first, first + self.side) for first in start)
            for path in ("0", "labels/bones/0"):
                array = group[path]
                assert isinstance(array, zarr.Array)
                array[region]
