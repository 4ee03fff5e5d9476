"""What every room shares: grids, the shape of a volume, the bone table, errors. Imports no other room."""
