"""Judges the results of a model on the test part by the rules of `gate` in params.yaml."""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from wbc.compare.comparison import Difference, Predictions, check_same_images, paired_differences, read_predictions
from wbc.data.tables import SPLIT, TRAIN, UNUSED, read_table
from wbc.gate.params import EVERY, AgainstParams, ClassMetric, GateParams
from wbc.scores.intervals import wilson_interval
from wbc.scores.measures import measure
from wbc.scores.wording import read_interval
from wbc.tools.fallback import fell_back


@dataclass(frozen=True)
class Check:
    """One rule and what came of it; measured values with the ends of their 95 % intervals where these are known."""

    rule: str
    outcome: Literal["passed", "failed", "skipped"]
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""


class Champion(NamedTuple):
    """The model to beat: what people call it, the folder of its predictions.csv, and who was champion before."""

    name: str
    results: Path
    former: "tuple[Champion, ...]" = ()


def read_metrics(path: Path, *, stage: str) -> dict[str, Any]:
    """Return the JSON file of metrics that ``stage`` writes. Raises ValueError when it is absent or no JSON object."""
    try:
        metrics = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise _absent(path, stage=stage) from error
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON ({error}): make it anew with `dvc repro -f {stage}`") from error
    if not isinstance(metrics, dict):
        raise ValueError(f"{path} must hold a JSON object of metrics: make it anew with `dvc repro -f {stage}`")
    return metrics


def judge(results: Path, *, data: Path, gate: GateParams, champion: Champion | None) -> list[Check]:
    """Return a check for each rule: thresholds in the order of ``gate``, then weights, split, leaks and the champions.

    The folder ``results`` holds evaluation.json, train.json and predictions.csv; the folder ``data`` split.csv and
    train.csv, or not. The gate is open when no check failed. Raises ValueError for results that are absent or unusable.
    """
    evaluation = read_metrics(results / "evaluation.json", stage="evaluate")
    training = read_metrics(results / "train.json", stage="train")
    predictions = _read_predictions(results / "predictions.csv")
    return [
        *check_thresholds(evaluation, gate=gate),
        check_weights(training, gate=gate),
        check_split(evaluation, gate=gate),
        check_leaks(predictions, data=data, gate=gate),
        check_champion(predictions, champion=champion, gate=gate),
        *check_former(predictions, champion=champion, gate=gate),
    ]


def is_open(checks: Sequence[Check]) -> bool:
    """Tell whether none of the ``checks`` failed."""
    return all(check.outcome != "failed" for check in checks)


def check_thresholds(evaluation: dict[str, Any], *, gate: GateParams) -> Iterator[Check]:
    """Yield one check for each threshold of ``gate``, in its order; those of a class are named CLASS.metric.

    ``evaluation`` is flat for the overall metrics and holds ``per_class.<CLASS>.<metric>`` below; the ends of an
    interval are beside their metric, with ``_low`` and ``_high`` in their names. What is absent fails. A rule is
    skipped where a class has too few images, and for a class that the model has not where EVERY judges those it has.
    """
    for metric, floor in gate.overall.items():
        yield _check_bound(evaluation, metric, rule=metric, at_least=floor)
    classes = evaluation.get("per_class", {})
    for label, floors in _class_rules(gate.per_class, classes=classes).items():
        for kind, floor in floors.items():
            if label not in classes and EVERY in gate.per_class and classes:
                note = f"the model does not know this class, but {_enumerate(classes)}"
                yield Check(f"{label}.{kind}", "skipped", at_least=floor, note=note)
            else:
                yield _check_class(evaluation, label=label, kind=kind, floor=floor)
    for error, ceiling in gate.calibration.items():
        yield _check_bound(evaluation, error, rule=error, at_most=ceiling)


def check_weights(training: dict[str, Any], *, gate: GateParams) -> Check:
    """Return whether training started, as train.json says, from the weights that it was to start from."""
    if not training.keys() >= {"model", "weights_requested", "weights_used"}:
        return Check("weights", "failed", note="train.json does not name the weights that training started from")
    if gate.allow_random_weights or not fell_back(training):
        return Check("weights", "passed")
    note = (
        f"{training['model']} was trained from random weights, for its pretrained ones could not be had: bring them "
        "with `dvc repro --force --single-item weights` and train again, or set gate.allow_random_weights to true"
    )
    return Check("weights", "failed", note=note)


def check_split(evaluation: dict[str, Any], *, gate: GateParams) -> Check:
    """Return whether the split that evaluation.json names lets the test part be trusted."""
    match evaluation.get("split_strategy"):
        case None:
            note = "evaluation.json does not name the split: make it anew with `dvc repro -f evaluate`"
        case "leaky":
            note = "the split is leaky: the model was trained on views of test images, take -S split.strategy=grouped"
        case "random" if not gate.allow_random_split:
            note = (
                "the split is random: photographs of one cell may be on both sides, take -S split.strategy=grouped, or "
                "set gate.allow_random_split to true"
            )
        case _ if evaluation.get("twins") == "not sought":
            note = "clean.twins is false: photographs of one cell may be on both sides, unless data.groups names groups"
            return Check("split", "passed", note=note)
        case _:
            return Check("split", "passed")
    return Check("split", "failed", note=note)


def check_leaks(predictions: Predictions, *, data: Path, gate: GateParams) -> Check:
    """Return whether the tables in the folder ``data`` keep the images of ``predictions`` out of training.

    No group of ``data``/split.csv may be in two parts, unless random splits are allowed, and ``data``/train.csv may
    name no test image, not even as the source of a view. Skipped where the tables are absent, as in a clone without
    data, or of another split. Raises ValueError for tables that are not in order.
    """
    if not (data / "split.csv").exists() or not (data / "train.csv").exists():
        return Check("leaks", "skipped", note="split.csv and train.csv are not here: see the split's name")
    split, training = read_table(data / "split.csv", SPLIT), read_table(data / "train.csv", TRAIN)
    test = set(split.loc[split["split"] == "test", "id"])
    if test != set(predictions.ids):
        return Check("leaks", "skipped", note="split.csv is of other results: see the split's name")
    if seen := test & {*training["id"], *training["partner"]}:
        return Check("leaks", "failed", note=f"images of the test part were trained on: {_enumerate(seen)}")
    parts = split[split["split"] != UNUSED].groupby("group")["split"].nunique()
    crossing = set(parts.index[parts > 1])
    if crossing and not gate.allow_random_split:
        return Check("leaks", "failed", note=f"groups are in more than one part of the split: {_enumerate(crossing)}")
    return Check("leaks", "passed")


def check_champion(predictions: Predictions, *, champion: Champion | None, gate: GateParams) -> Check:
    """Return whether the model is not worse than ``champion`` by more than gate.against allows.

    Skipped without a champion. One that cannot be compared fails, unless gate.allow_other_images.
    """
    if champion is None:
        return Check("champion", "skipped", note="there is no champion to compare with")
    try:
        return _check_difference(predictions, rule="champion", reference=champion, against=gate.against)
    except FileNotFoundError:
        return _check_incomparable(f"{champion.name} has no metrics/predictions.csv", gate=gate)
    except ValueError as error:
        return _check_incomparable(f"{champion.name} cannot be compared with: {error}", gate=gate)


def check_former(predictions: Predictions, *, champion: Champion | None, gate: GateParams) -> Iterator[Check]:
    """Yield whether the model keeps to gate.against beside the best champion of all, where that is a former one.

    Each champion may be a margin below the one before: without this rule they would walk down. Those that were tested
    on other images have no say.
    """
    if champion is None:
        return
    merits = {}
    for each in (champion, *champion.former):
        with suppress(FileNotFoundError, ValueError):
            merits[each] = _measure(each, predictions, metric=gate.against.metric)
    best = max(merits, key=lambda each: merits[each], default=champion)
    if best != champion:
        yield _check_difference(predictions, rule="former champion", reference=best, against=gate.against)


def _measure(champion: Champion, predictions: Predictions, *, metric: str) -> float:
    """Return the ``metric`` of ``champion``. Raises ValueError if it is undefined, or not on these images."""
    reference = read_predictions(champion.results / "predictions.csv")
    check_same_images(reference, predictions)
    once = np.ones((1, len(reference.ids)))
    table = measure(reference.truth, reference.probabilities, classes=reference.classes, weights=once)
    value = float(table[metric].iloc[0])
    if math.isnan(value):
        raise ValueError(f"{metric} of {champion.name} is not defined")
    return value


def _check_difference(predictions: Predictions, *, rule: str, reference: Champion, against: AgainstParams) -> Check:
    """Return whether the model is not worse than ``reference`` by more than ``against`` allows.

    Raises FileNotFoundError for a reference without predictions, and ValueError for one of other images.
    """
    metric = against.metric
    theirs = read_predictions(reference.results / "predictions.csv")
    difference = paired_differences(theirs, predictions, metrics=[metric])[metric]
    failure = _name_failure(difference, against=against)
    note = f"difference of {metric} to {reference.name}, paired on {len(predictions.ids)} images"
    value, low, high = (None if math.isnan(end) else end for end in difference[:3])
    return Check(
        rule,
        "failed" if failure else "passed",
        measured=value,
        low=low,
        high=high,
        at_least=-against.margin,
        note=f"{note}: {failure}" if failure else note,
    )


def _name_failure(difference: Difference, *, against: AgainstParams) -> str:
    """Return why a model is worse than the champion by too much; empty if it is not."""
    least = -against.margin - 1e-9  # 0.85 - 0.9 is below -0.05 to a computer
    if math.isnan(difference.value):
        return "it is not defined"
    if difference.value < least:
        return "it is below what is allowed"
    if against.judge == "interval" and difference.low < least:
        return "its interval reaches below what is allowed"
    return "it is small, but its whole interval is below 0" if difference.high < 0 else ""


def _check_incomparable(reason: str, *, gate: GateParams) -> Check:
    if gate.allow_other_images:
        return Check("champion", "skipped", note=reason)
    return Check("champion", "failed", note=f"{reason}; gate.allow_other_images: true judges by the other rules alone")


def _enumerate(names: Collection[str]) -> str:
    some = sorted(names)[:5]
    return ", ".join(some) + (f" and {len(names) - len(some)} more" if len(names) > len(some) else "")


def _class_rules(
    rules: Mapping[str, Mapping[ClassMetric, float]], *, classes: Collection[str]
) -> dict[str, Mapping[ClassMetric, float]]:
    """Return the floors of each class, those of EVERY among them; without any class EVERY stands for itself."""
    common = rules.get(EVERY, {})
    named = {name: {**common, **floors} for name, floors in rules.items() if name != EVERY}
    others = [name for name in classes or [EVERY] if name not in named]
    return {**named, **dict.fromkeys(others, common)}


def _check_class(evaluation: dict[str, Any], *, label: str, kind: ClassMetric, floor: float) -> Check:
    """Return whether one measure of a class reaches ``floor``.

    The value itself is judged, unless there are so few images that not even those without an error would lift the 95 %
    interval to the floor: then the rule is skipped, but for a value whose whole interval is below.
    """
    classes = evaluation.get("per_class", {})
    check = _check_bound(classes.get(label, {}), kind, rule=f"{label}.{kind}", at_least=floor)
    supports = {name: scores["support"] for name, scores in classes.items() if "support" in scores}
    if label not in supports:
        return check
    images = sum(supports.values()) - supports[label] if kind == "specificity" else supports[label]
    least = wilson_interval(images, images).low if images else 0.0
    if least >= floor or (check.high is not None and check.high < floor):
        return check
    note = f"{images} test images are too few to judge it: without an error the interval would begin at {least:.2f}"
    return replace(check, outcome="skipped", note=note)


def _check_bound(
    scores: dict[str, Any], name: str, *, rule: str, at_least: float | None = None, at_most: float | None = None
) -> Check:
    interval = read_interval(scores, name)
    measured, low, high = (None if end is None or math.isnan(end) else end for end in interval or [None] * 3)
    met = (
        measured is not None and (at_least is None or measured >= at_least) and (at_most is None or measured <= at_most)
    )
    return Check(rule, "passed" if met else "failed", measured, low, high, at_least, at_most)


def _read_predictions(path: Path) -> Predictions:
    try:
        return read_predictions(path)
    except FileNotFoundError as error:
        raise _absent(path, stage="evaluate") from error


def _absent(path: Path, *, stage: str) -> ValueError:
    return ValueError(
        f"{path} does not exist: make it with `dvc repro {stage}`, or bring it back with `git restore {path}`"
    )
