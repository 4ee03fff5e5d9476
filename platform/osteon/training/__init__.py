"""One step, one epoch: losses, optimisers, checkpoints. Knows no Ray and no store."""
