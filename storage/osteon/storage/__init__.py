"""Datasets of committed scans in a folder or an object store: readers, writer, catalog, export."""
