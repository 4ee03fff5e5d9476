"""Networks, one architecture per file; build.py alone knows layer numbers."""
