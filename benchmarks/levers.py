"""What raises balanced accuracy: each lever against its baseline, on the same grouped folds, for docs/accuracy.md.

Trainings run side by side, one thread each, and leave their predictions in a folder; a killed run goes on from there.
"""

import hashlib
import json
import tempfile
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import typer
from joblib import parallel_config
from numpy.typing import NDArray

from benchmarks.stains import PREPARATIONS
from wbc.augment.augmentation import augment, choose_images
from wbc.augment.params import AugmentParams
from wbc.base.files import write_csv
from wbc.base.params import read_params, validate
from wbc.clean.cleaning import clean
from wbc.clean.params import CleanParams
from wbc.compare.comparison import Predictions, read_predictions
from wbc.compare.ranking import differ, estimate, pool_seeds, spread
from wbc.data.arrays import image_writer, iterate_images, read_images
from wbc.data.tables import MANIFEST, read_records, read_table
from wbc.inference.determinism import make_deterministic
from wbc.inference.ensemble import average
from wbc.inference.inference import predict
from wbc.models.params import BackboneParams
from wbc.split.params import SplitParams
from wbc.split.splits import split
from wbc.tools.markdown import insert_table, render_table
from wbc.tools.parallel import map_parallel
from wbc.train.checkpoints import remove_checkpoint
from wbc.train.params import TrainParams
from wbc.train.state import Examples
from wbc.train.training import train

MODEL = "efficientnet_lite0"
FOLDS = 5
VIEWS = (1, 8)  # orientations that every training is asked with
METRIC = "balanced_accuracy"


class Lever(NamedTuple):
    """A change of START, or of what params.yaml does not know, against the lever named ``baseline``."""

    changes: dict[str, Any]
    baseline: str | None = None
    members: int = 1  # networks, each with draws of its own, whose probabilities are averaged
    pair: tuple[str, ...] = ()  # two classes between which a second network decides
    preparation: str | None = None  # a name in PREPARATIONS


START = {  # what params.yaml said when the levers were first tried, where it says something else by now
    "clean.window": 240,
    "augment.stain": 0.2,
    "augment.colour": 0.1,
    "augment.brightness": 0.15,
    "train.views": 1,
}
SAME_COLOURS = {"augment.stain": 0.0, "augment.colour": 0.0, "augment.brightness": 0.0}
CLOSE = {"clean.window": 180}
SMALL = {f"models.{MODEL}.input": [96, 96]}
LARGE = {"clean.size": [224, 224], f"models.{MODEL}.input": [224, 224]}
FROZEN = {
    f"models.{MODEL}.{key}": value
    for key, value in {"trainable": "none", "learning_rate": 0.001, "batch_size": 32, "epochs": 25}.items()
}
ARMS = {
    "start": Lever({}),
    "8 views": Lever({"train.views": 8}, "start"),
    "window 180, no change of colour": Lever(CLOSE | SAME_COLOURS, "start"),
    "chosen": Lever(CLOSE | SAME_COLOURS | {"train.views": 8}, "start"),
    "96 px": Lever(SMALL, "start"),
    "frozen": Lever(FROZEN, "start"),
}
ON_TOP = {  # what may add to the choice
    "weight averaging": Lever({"train.averaging": 0.99}),
    "16 epochs": Lever({f"models.{MODEL}.epochs": 16, "train.patience": None}),
    "three networks": Lever({}, members=3),
}
TRAINED_SMALL = {  # what acts while the whole network learns
    "no change of colour": Lever(SAME_COLOURS),
    "two phases": Lever({"train.probe_epochs": 3}),
    "mixup 0.2": Lever({"train.mixup": 0.2}),
    "8 views": Lever({"train.views": 8}),
    "weight averaging": Lever({"train.averaging": 0.99}),
    "three networks": Lever({}, members=3),
}
SEEN_FROZEN = {  # what changes images, classes or loss, and shows in the head alone
    "224 px": Lever(LARGE),
    "window 180": Lever(CLOSE),
    "window 300": Lever({"clean.window": 300}),
    "white balance": Lever({}, preparation="white balance"),
    "stain normalisation": Lever({}, preparation="Reinhard"),
    "stain augmentation 0.4": Lever({"augment.stain": 0.4}),
    "no stain augmentation": Lever({"augment.stain": 0.0}),
    "no change of colour": Lever(SAME_COLOURS),
    "pairwise head": Lever({}, pair=("EOSINOPHIL", "NEUTROPHIL")),
    "generalised cross-entropy": Lever({"train.loss": "generalised_cross_entropy"}),
    "focal loss": Lever({"train.loss": "focal"}),
    "no label smoothing": Lever({"train.label_smoothing": 0.0}),
    "weights, not SMOTE": Lever({"augment.balance": "none", "train.class_weights": True}),
    "repetition, not SMOTE": Lever({"augment.balance": "repeat"}),
}


def _upon(baseline: str, levers: dict[str, Lever]) -> dict[str, Lever]:
    """Return ``levers`` on top of the one named ``baseline``."""
    return {
        f"{baseline}, {name}": lever._replace(changes=ARMS[baseline].changes | lever.changes, baseline=baseline)
        for name, lever in levers.items()
    }


LEVERS = ARMS | _upon("chosen", ON_TOP) | _upon("96 px", TRAINED_SMALL) | _upon("frozen", SEEN_FROZEN)


class Training(NamedTuple):
    """One network to train, by all that its predictions depend on."""

    clean: dict[str, Any]  # sections of params.yaml
    augment: dict[str, Any]
    train: dict[str, Any]
    model: dict[str, Any]
    preparation: str | None
    classes: tuple[str, ...]  # empty: all
    seed: int
    fold: int
    member: int

    @property
    def file(self) -> str:
        """The name of the file of its predictions."""
        return f"{_digest(self)}.csv"

    @property
    def images(self) -> str:
        """The name of the folder of its images before the split."""
        return f"images-{_digest([self.clean, self.preparation])}"


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def main(
    lever: Annotated[list[str] | None, typer.Option(help="one to try; give it several times; else all")] = None,
    seeds: Annotated[int, typer.Option(help="each has folds of its own", min=1)] = 1,
    raw: Annotated[Path, typer.Option(help="where `dvc repro download` wrote the photographs")] = Path("data/raw"),
    weights: Annotated[Path, typer.Option(help="where `dvc repro weights` wrote them")] = Path("models/pretrained"),
    work: Annotated[Path, typer.Option(help="where predictions are kept; empty it after a change of the code")] = Path(
        ".levers"
    ),
    output: Annotated[Path, typer.Option(help="a Markdown file with the marks of such a table")] = Path(
        "docs/accuracy.md"
    ),
) -> None:
    """Train what the levers need and write their rows of the table; others, and rows of more seeds, stay."""
    chosen = set(lever or LEVERS)
    if unknown := chosen - set(LEVERS):
        raise typer.BadParameter(f"no lever {', '.join(sorted(unknown))}; there are {', '.join(LEVERS)}")
    chosen = {one for name in chosen for one in with_baselines(name)}
    plans = {name: plan(LEVERS[name], seeds=seeds) for name in LEVERS if name in chosen}
    trainings = {one.file: one for trainings in plans.values() for one in trainings}
    for one in {one.images: one for one in trainings.values()}.values():
        prepare(one, raw=raw, folder=work / one.images)
    missing = [one for name, one in trainings.items() if not (work / name).exists()]
    pretrained = next(path for path in sorted(weights.iterdir()) if path.suffix != ".json")
    for _ in map_parallel(partial(run, work=work, pretrained=pretrained), missing, description="trainings"):
        pass
    scores = pd.DataFrame([score(name, plans=plans, work=work) for name in plans])
    table = output.with_suffix(".csv")
    if table.exists():
        scores = merge_scores(pd.read_csv(table), scores)
    write_csv(table, scores)
    insert_table(output, tabulate_levers(scores))


def with_baselines(name: str) -> list[str]:
    """Return the lever ``name``, its baseline, and what that one is measured against in turn."""
    baseline = LEVERS[name].baseline
    return [name, *(with_baselines(baseline) if baseline else [])]


def plan(lever: Lever, *, seeds: int) -> list[Training]:
    """Return the networks that ``lever`` needs on each fold of each seed."""
    params = deepcopy(read_params())
    for key, value in (START | lever.changes).items():
        *path, last = key.split(".")
        section = params
        for part in path:
            section = section[part]
        if last not in section:
            raise KeyError(key)
        section[last] = value
    params["train"]["views"] = 1  # every network is asked in each number of VIEWS
    return [
        Training(
            params["clean"],
            params["augment"],
            params["train"],
            params["models"][MODEL],
            lever.preparation,
            classes,
            seed,
            fold,
            member,
        )
        for seed in range(1, seeds + 1)
        for fold in range(FOLDS)
        for member in range(lever.members)
        for classes in ([(), lever.pair] if lever.pair else [()])
    ]


def prepare(training: Training, *, raw: Path, folder: Path) -> None:
    """Write cells.npy and manifest.csv, as the stage `clean` does, to ``folder`` unless they are there."""
    if (folder / "manifest.csv").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    plain, params = folder / "plain.npy", validate(CleanParams, training.clean)
    manifest = clean(read_records(raw), raw=raw, cells=plain, params=params, seed=0).manifest
    change = PREPARATIONS[training.preparation] if training.preparation else np.asarray
    with image_writer(folder / "cells.npy", shape=read_images(plain).shape[1:]) as append:
        for image in iterate_images(plain):
            append(change(image))
    plain.unlink()
    write_csv(folder / "manifest.csv", manifest)


def run(training: Training, *, work: Path, pretrained: Path) -> None:
    """Train one network and write what it makes of validation and test part, in each number of VIEWS."""
    draws = training.seed + 1000 * training.member
    keras.utils.clear_session()
    make_deterministic(seed=draws, threads=1)
    cells = work / training.images / "cells.npy"
    manifest = read_table(cells.with_name("manifest.csv"), MANIFEST)
    splitting = SplitParams.model_validate(read_params()["split"] | {"folds": FOLDS, "fold": training.fold})
    parts = split(manifest, params=splitting, seed=training.seed)
    classes = sorted(training.classes or parts["label"].unique())
    known = parts[parts["label"].isin(classes)]
    held_out = known.index[known["split"] == "validation"]
    with tempfile.TemporaryDirectory() as folder:
        with parallel_config(backend="sequential"):
            table = augment(
                choose_images(known, leaky=False),
                cells=cells,
                output=Path(folder) / "train.npy",
                params=validate(AugmentParams, training.augment),
                seed=draws,
            )
        model = train(
            Examples(read_images(Path(folder) / "train.npy"), np.arange(len(table)), _codes(table["label"], classes)),
            Examples(read_images(cells), held_out.to_numpy(), _codes(known["label"][held_out], classes)),
            classes=len(classes),
            model_name=MODEL,
            model_params=validate(BackboneParams, training.model),
            train_params=validate(TrainParams, training.train),
            pretrained=pretrained,
            checkpoint=work / training.file.replace(".csv", "") / "state.npz",
            tensorboard=None,
            seed=draws,
        ).model
    asked = parts[parts["split"].isin(["validation", "test"])]
    tables = []
    for views in VIEWS:
        probabilities = predict(average([model], views=views), read_images(cells), positions=asked.index)
        columns = {f"probability_{name}": probabilities[:, index] for index, name in enumerate(classes)}
        tables.append(asked[["id", "group", "split"]].assign(truth=asked["label"], views=views, **columns))
    write_csv(work / training.file, pd.concat(tables))
    remove_checkpoint(work / training.file.replace(".csv", "") / "state.npz")


def _codes(labels: pd.Series, classes: list[str]) -> NDArray[np.integer]:
    return pd.Categorical(labels, classes).codes


def score(name: str, *, plans: dict[str, list[Training]], work: Path) -> dict[str, Any]:
    """Return the row of the lever ``name``: validation and test part pooled over folds, and what its baseline lacks."""
    lever = LEVERS[name]
    validation, test = (pool_folds(lever, plans[name], work=work, part=part) for part in ("validation", "test"))
    checked, result = estimate(list(validation.values()), metric=METRIC), estimate(list(test.values()), metric=METRIC)
    row = {
        "lever": name,
        "baseline": lever.baseline,
        "seeds": len(test),
        "validation": checked.value,
        "validation_log_loss": estimate(list(validation.values()), metric="log_loss").value,
        "test": result.value,
        "test_low": result.low,
        "test_high": result.high,
        "test_spread": spread(list(test.values()), metric=METRIC),
        "accuracy": estimate(list(test.values()), metric="accuracy").value,
        "macro_f1": estimate(list(test.values()), metric="macro_f1").value,
    }
    if lever.baseline is None:
        return row
    other = pool_folds(LEVERS[lever.baseline], plans[lever.baseline], work=work, part="test")
    difference = differ(other, test, metric=METRIC)
    return row | {f"difference_{field}": value for field, value in difference._asdict().items()}


def pool_folds(lever: Lever, trainings: list[Training], *, work: Path, part: str) -> dict[str, list[Predictions]]:
    """Return what ``lever`` predicts of the images of ``part`` in each fold, by seed."""
    splits = pd.DataFrame([(str(one.seed), str(one.fold)) for one in trainings], columns=["seed", "fold"])
    splits = splits.drop_duplicates().assign(run_id=lambda table: table["seed"] + "/" + table["fold"])

    def read(run_id: str) -> Predictions:
        own = [one for one in trainings if f"{one.seed}/{one.fold}" == run_id]
        read_one = partial(_read, work=work, part=part, views=lever.changes.get("train.views", 1))
        whole = [read_one(one) for one in own if not one.classes]
        mean = np.mean([one.probabilities for one in whole], axis=0)
        for one in (read_one(one) for one in own if one.classes):
            columns = [whole[0].classes.index(name) for name in one.classes]
            mean[:, columns] = mean[:, columns].sum(axis=1, keepdims=True) * one.probabilities
        fold = run_id.split("/")[1]
        return whole[0]._replace(ids=[f"{fold}/{name}" for name in whole[0].ids], probabilities=mean)

    return pool_seeds(splits, read=read)


def _read(training: Training, *, work: Path, part: str, views: int) -> Predictions:
    table = pd.read_csv(work / training.file, dtype={"id": str, "group": str})
    return read_predictions(table[(table["split"] == part) & (table["views"] == views)].to_csv(index=False))


def merge_scores(known: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of both in the order of LEVERS: of one lever that of more seeds, and the new one of equals."""
    both = pd.concat([known[known["lever"].isin(LEVERS)], new], ignore_index=True)
    latest = both.sort_values("seeds", kind="stable").drop_duplicates("lever", keep="last")
    return latest.sort_values("lever", key=lambda names: names.map(list(LEVERS).index), ignore_index=True)


def tabulate_levers(scores: pd.DataFrame) -> str:
    """Return a Markdown table of the rows of `score`."""
    header = [
        "lever",
        "seeds",
        "validation: balanced accuracy",
        "validation: log loss",
        "test: balanced accuracy",
        "SD over seeds",
        "above its baseline",
        "test: accuracy",
        "test: macro F1",
    ]
    return render_table(header, [_describe(row) for _, row in scores.iterrows()])


def _describe(row: pd.Series) -> list[str]:
    compared = pd.notna(row.get("difference_value"))
    ends = [row[f"difference_{field}"] for field in ("value", "low", "high")] if compared else []
    return [
        str(row["lever"]),
        str(row["seeds"]),
        *(f"{row[name]:.3f}" for name in ("validation", "validation_log_loss")),
        f"{row['test']:.3f} ({row['test_low']:.3f} to {row['test_high']:.3f})",
        f"{row['test_spread']:.3f}" if pd.notna(row.get("test_spread")) else "-",  # older rows have none
        f"`{row['baseline']}` {ends[0]:+.3f} ({ends[1]:+.3f} to {ends[2]:+.3f})" if compared else "-",
        *(f"{row[name]:.3f}" for name in ("accuracy", "macro_f1")),
    ]


if __name__ == "__main__":
    typer.run(main)
