"""Synthetic scans: labels in, CT scans out that show the labelled bodies as no scanner ever saw them."""

from osteon.data.synthesis.anatomy import Anatomy
from osteon.data.synthesis.scan import SyntheticScan, check_choices, synthesise

__all__ = ["Anatomy", "SyntheticScan", "check_choices", "synthesise"]
