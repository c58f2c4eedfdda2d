"""What balancing is worth: every way to fill up small classes, on the same splits, under the same frozen features.

EfficientNet-Lite0 with its ImageNet weights describes every image of the training part as `wbc.augment.augmentation`
makes it; a logistic regression learns from that. It is trained to the end, so that more images do not mean more steps.
"""

import hashlib
import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import typer
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from wbc.augment.augmentation import augment, choose_images
from wbc.augment.params import AugmentParams
from wbc.base.files import write_csv
from wbc.base.params import read_section
from wbc.data.arrays import Image, read_images
from wbc.data.tables import MANIFEST, read_table
from wbc.inference.determinism import make_deterministic
from wbc.inference.inference import predict
from wbc.scores.intervals import Interval, mean_interval
from wbc.scores.scores import evaluate
from wbc.split.params import SplitParams
from wbc.split.splits import split
from wbc.suspects.embedding import build_embedder
from wbc.tools.markdown import insert_table, render_table
from wbc.tools.parallel import map_parallel
from wbc.train.checkpoints import Arrays, checkpoint_path, load_checkpoint, remove_checkpoint, save_checkpoint


class Arm(NamedTuple):
    """A way to make the training part: changes of the section `augment`, and whether classes are weighed."""

    changes: dict[str, Any]
    class_weights: bool = False


WITHOUT_VIEWS = {"copies": 0, "target_per_class": None}  # classes are brought to the size of the largest
BASELINE = "repeat"
ARMS = {
    "none": Arm({"balance": "none"}),
    "none, class weights": Arm({"balance": "none"}, class_weights=True),
    BASELINE: Arm({"balance": "repeat"}),
    "smote, pixels": Arm({"balance": "smote", "space": "pixels"}),
    "smote, pca": Arm({"balance": "smote", "space": "pca"}),
    "borderline_smote, pixels": Arm({"balance": "borderline_smote", "space": "pixels"}),
    "borderline_smote, pca": Arm({"balance": "borderline_smote", "space": "pca"}),
    "svm_smote, pca": Arm({"balance": "svm_smote", "space": "pca"}),
    "smote, pixels, balance first": Arm({"balance": "smote", "space": "pixels", "order": "balance_first"}),
    "none, no views": Arm({"balance": "none", **WITHOUT_VIEWS}),
    "repeat, no views": Arm({"balance": "repeat", **WITHOUT_VIEWS}),
    "smote, pixels, no views": Arm({"balance": "smote", "space": "pixels", **WITHOUT_VIEWS}),
}
STRENGTHS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)  # inverses of the L2 penalty; the validation part chooses
MINORITY, HARD = ("LYMPHOCYTE", "MONOCYTE"), "EOSINOPHIL"
METRICS = ["macro F1", "balanced accuracy", "minority sensitivity", f"{HARD} sensitivity"]
COMPARED = ["macro F1", "minority sensitivity"]


def main(
    seeds: Annotated[int, typer.Option(help="each has splits of its own", min=2)] = 5,
    folds: Annotated[int, typer.Option(help="of five, whose test parts a seed is scored on", min=1, max=5)] = 1,
    data: Annotated[Path, typer.Option(help="where `dvc repro clean` wrote cells.npy and manifest.csv")] = Path("data"),
    output: Annotated[Path, typer.Option(help="a Markdown file with the marks of such a table")] = Path(
        "docs/balance.md"
    ),
) -> None:
    """Train and test every arm on every split, write the table into the page and each seed's scores beside it.

    A killed run goes on from its last whole split.
    """
    numbers = list(range(1, seeds + 1))
    scored = map_parallel(partial(score_seed, folds=folds, data=data), numbers, description="balance")
    scores = pd.concat(scored, ignore_index=True)
    insert_table(output, tabulate_balance(scores))
    write_csv(output.with_suffix(".csv"), scores)
    for seed in numbers:
        for fold in range(folds):
            remove_checkpoint(_checkpoint(data, seed=seed, fold=fold))


def score_seed(seed: int, *, folds: int, data: Path) -> pd.DataFrame:
    """Return the columns seed, arm and METRICS, a row for each of ARMS, over the test images of all ``folds``."""
    make_deterministic(seed=seed, threads=1)
    manifest = read_table(data / "manifest.csv", MANIFEST)
    classes = sorted(manifest["label"].unique())
    embedder = Embedder(build_embedder(read_images(data / "cells.npy").shape[1:]))
    truths: list[NDArray[np.integer]] = []
    tested: list[Arrays] = []
    for fold in range(folds):
        params = read_section(SplitParams, "split").model_copy(update={"folds": 5, "fold": fold, "strategy": "grouped"})
        parts = split(manifest, params=params, seed=seed)
        truths.append(pd.Categorical(parts.loc[parts["split"] == "test", "label"], classes).codes)
        path = _checkpoint(data, seed=seed, fold=fold)
        probabilities = load_checkpoint(path)
        if probabilities is None:
            probabilities = test_arms(parts, cells=data / "cells.npy", classes=classes, embedder=embedder, seed=seed)
            save_checkpoint(path, probabilities)
        tested.append(probabilities)
    truth = np.concatenate(truths)
    rows = [
        {"seed": seed, "arm": arm} | _score(truth, np.concatenate([part[arm] for part in tested]), classes=classes)
        for arm in ARMS
    ]
    return pd.DataFrame(rows)


def _checkpoint(data: Path, *, seed: int, fold: int) -> Path:
    return checkpoint_path(files=[data / "cells.npy", data / "manifest.csv"], params=[ARMS, STRENGTHS, seed, fold])


def _score(truth: NDArray[np.integer], probabilities: NDArray[np.floating], *, classes: list[str]) -> dict[str, float]:
    scores = evaluate(truth, probabilities, classes=classes)
    sensitivity = {name: scores["per_class"][name]["sensitivity"] for name in (*MINORITY, HARD)}
    minority = float(np.mean([sensitivity[name] for name in MINORITY]))
    return dict(
        zip(METRICS, (scores["macro_f1"], scores["balanced_accuracy"], minority, sensitivity[HARD]), strict=True)
    )


class Embedder:
    """Describes images by the features of a frozen network, equal images once: many arms share their views."""

    def __init__(self, network: keras.Model) -> None:
        self._network = network
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def embed(self, images: Image) -> NDArray[np.float32]:
        """Return the features (images, features) of uint8 RGB ``images`` (images, height, width, 3)."""
        keys = [hashlib.sha256(image).digest() for image in images]
        new = {key: position for position, key in enumerate(keys) if key not in self._known}
        if new:
            features = predict(self._network, images, positions=list(new.values()))
            self._known.update(zip(new, features, strict=True))
        return np.stack([self._known[key] for key in keys])


def test_arms(parts: pd.DataFrame, *, cells: Path, classes: list[str], embedder: Embedder, seed: int) -> Arrays:
    """Return the probabilities (test images, classes) by each of ARMS on ``parts``, a split of wbc.data.tables."""
    base = read_section(AugmentParams, "augment").model_dump()
    validation, test = (parts["split"] == part for part in ("validation", "test"))
    images = read_images(cells)
    validation_features, test_features = (embedder.embed(images[part]) for part in (validation, test))
    probabilities = {}
    for name, arm in ARMS.items():
        with tempfile.TemporaryDirectory() as folder, parallel_config(backend="sequential"):
            output = Path(folder) / "train.npy"
            params = AugmentParams.model_validate(base | arm.changes)
            table = augment(choose_images(parts, leaky=False), cells=cells, output=output, params=params, seed=seed)
            features = embedder.embed(read_images(output))
        probabilities[name] = classify(
            features,
            table["label"],
            validation=(validation_features, parts.loc[validation, "label"]),
            test=test_features,
            classes=classes,
            class_weights=arm.class_weights,
        )
    return probabilities


def classify(
    features: NDArray[np.float32],
    labels: pd.Series,
    *,
    validation: tuple[NDArray[np.float32], pd.Series],
    test: NDArray[np.float32],
    classes: list[str],
    class_weights: bool,
) -> NDArray[np.float64]:
    """Return the probabilities (test images, classes) by a logistic regression on standardised ``features``.

    Its penalty is the one of STRENGTHS with the lowest validation loss. ``classes`` are sorted.
    """
    scaler = StandardScaler().fit(features)
    known, checked, asked = (scaler.transform(part) for part in (features, validation[0], test))
    model = LogisticRegression(class_weight="balanced" if class_weights else None, max_iter=1000, warm_start=True)
    tried = []
    with threadpool_limits(1):
        for strength in STRENGTHS:
            model.set_params(C=strength).fit(known, labels)
            loss = log_loss(validation[1], model.predict_proba(checked), labels=classes)
            tried.append((loss, model.predict_proba(asked)))
    return min(tried, key=lambda pair: pair[0])[1]


def tabulate_balance(scores: pd.DataFrame) -> str:
    """Return a Markdown table of the means over seeds with 95 % t-intervals, a row for each arm in ``scores``.

    The last columns are the differences to the arm BASELINE, seed by seed. ``scores`` is of `score_seed`.
    """
    by_seed = scores.set_index(["arm", "seed"]).sort_index()
    rows = []
    for arm in scores["arm"].unique():
        own, other = by_seed.loc[arm], by_seed.loc[BASELINE]
        means = [_mean(own[name]) for name in METRICS]
        differences = ["-" if arm == BASELINE else _mean(own[name] - other[name], sign="+") for name in COMPARED]
        rows.append([f"`{arm}`", *means, *differences])
    return render_table(["arm", *METRICS, *(f"{name} above `{BASELINE}`" for name in COMPARED)], rows)


def _mean(values: pd.Series, *, sign: str = "") -> str:
    mean: Interval = mean_interval(values.tolist(), least=-1 if sign else 0, most=1)
    return f"{mean.value:{sign}.3f} ({mean.low:{sign}.3f} to {mean.high:{sign}.3f})"


if __name__ == "__main__":
    typer.run(main)
