"""What people and Prometheus see of a run: progress, logs, metrics. Imports no other room."""
