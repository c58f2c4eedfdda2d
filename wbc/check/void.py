"""Settings that another makes void: refused unless they are as params.yaml has them, for they would change nothing."""

import json
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from wbc.base.params import Section


class Rule(NamedTuple):
    """Where every setting of ``given`` has one of its values, those of ``usual`` are void, for the ``reason``."""

    given: Mapping[str, tuple[Any, ...]]
    usual: Mapping[str, Any]  # as in params.yaml
    reason: str


RULES = (
    Rule({"clean.crop": ("whole",)}, {"clean.window": 180}, "no window is cut out"),
    Rule(
        {"augment.copies": (0,)},
        {
            "augment.rotation": 180,
            "augment.shift": 0.1,
            "augment.shear": 0.2,
            "augment.scale": 0.2,
            "augment.flips": True,
            "augment.brightness": 0,
            "augment.colour": 0,
            "augment.stain": 0,
            "augment.order": "views_first",
        },
        "there are no views",
    ),
    Rule({"augment.balance": ("none",)}, {"augment.order": "views_first"}, "there is nothing but views"),
    Rule(
        {"augment.balance": ("none",), "augment.copies": (0,)},
        {"augment.target_per_class": 300},
        "nothing fills the classes up",
    ),
    Rule(
        {"augment.balance": ("repeat", "none")},
        {"augment.space": "pixels", "augment.neighbours": 5},
        "only SMOTE seeks neighbours",
    ),
    Rule(
        {"augment.balance": ("smote", "repeat")},
        {"train.class_weights": False},
        "classes of the same size all weigh 1",
    ),
    Rule({"train.probe_epochs": (0,)}, {"train.probe_learning_rate": 0.001}, "there is no probing phase"),
)


def find_void(params: Section) -> Iterator[str]:
    """Yield a sentence for each setting of the whole ``params`` that is void and not the usual one; null says so."""
    content = params.model_dump()
    for given, usual, reason in RULES:
        present = {key: _value(content, key) for key in given}
        if any(present[key] not in values for key, values in given.items()):
            continue
        because = " and ".join(f"{key}: {json.dumps(value)}" for key, value in present.items())
        for key, expected in usual.items():
            value = _value(content, key)
            if value not in (expected, None):
                yield (
                    f"{key}: {json.dumps(value)} is void with {because}, for {reason}: leave it at "
                    f"{json.dumps(expected)}, or change the latter"
                )


def _value(content: Mapping[str, Any], key: str) -> Any:
    return reduce(lambda section, name: section[name], key.split("."), content)
