"""The osteon command: reads arguments, calls jobs lazily, prints."""
