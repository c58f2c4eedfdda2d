"""Parameters of the evaluation: `evaluate` in params.yaml."""

from pydantic import Field

from wbc.base.params import Section


class EvaluateParams(Section):
    """How the test part is looked at."""

    wished_error: float | None = Field(ge=0, lt=1)  # of the predictions that need no review; None: no review
