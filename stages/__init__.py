"""One file for each stage of dvc.yaml, run as `python -m stages.<name>`."""

import wbc  # before a stage's own imports load numpy
