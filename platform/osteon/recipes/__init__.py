"""Everything that defines a run, as one validated document; and the bundle a run leaves."""
