"""Whole scans through a network in windows, with memory that does not grow with classes or length."""
