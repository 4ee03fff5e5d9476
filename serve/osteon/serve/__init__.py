"""Segmentation endpoints on Ray Serve: an API, a desk that hands out work, and replicas that do it."""
