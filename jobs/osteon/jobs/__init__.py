"""Work on many cores or machines: Dask ingests, Ray trains, sweeps, predicts."""
