"""What MLflow and DVC's experiments know of runs, and the registry of models."""
