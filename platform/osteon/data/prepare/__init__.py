"""Scans made ready for a protocol: cropped, split, mirrored, resampled; and predictions put back onto the scan.

Pure functions of volumes; `osteon.jobs.prepare` writes what they give.
"""

from osteon.data.prepare.find import Guide
from osteon.data.prepare.plan import Preparation, plan_scan, prepared_table
from osteon.data.prepare.restore import Part, restore_labels, restore_parts
from osteon.data.prepare.spec import PrepareSpec
from osteon.data.prepare.voxels import prepare_hu, prepare_labels

__all__ = [
    "Guide",
    "Part",
    "Preparation",
    "PrepareSpec",
    "plan_scan",
    "prepare_hu",
    "prepare_labels",
    "prepared_table",
    "restore_labels",
    "restore_parts",
]
