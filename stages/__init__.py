"""One file for each stage of dvc.yaml, run as `python -m stages.<name>`; its DVC is watched before heavy imports."""

from wbc.base.parent import (
    end_with_dvc,  # the first import of wbc, before a stage's own load numpy: see wbc/base/start.py
)

end_with_dvc()
