"""Parameters of the evaluation: `evaluate` in params.yaml."""

from typing import Literal

from wbc.params.base import Section


class EvaluateParams(Section):
    """How the test part is looked at."""

    views: Literal[1, 4, 8]  # positions of each image whose probabilities are averaged
