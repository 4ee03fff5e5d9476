"""Understands how datasets lie on disk: which file is a scan, which its labels, and what the labels mean."""

from osteon.storage.importers.layouts import plan_import
from osteon.storage.importers.plan import CaseSource, ImportPlan, Split

__all__ = ["CaseSource", "ImportPlan", "Split", "plan_import"]
