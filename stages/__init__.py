"""One file for each stage of dvc.yaml, run as `python -m stages.<name>`; its DVC is watched before heavy imports."""

from wbc.parent import end_with_dvc

end_with_dvc()
