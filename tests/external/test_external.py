from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from wbc.base.params import read_params, validate
from wbc.clean.params import CleanParams
from wbc.external.external import Outcome, evaluate_source, find_seen
from wbc.external.params import ExternalParams
from wbc.sources.params import SmearsParams
from wbc.sources.registry import SOURCES

PARAMS = read_params(Path(__file__).parents[2] / "params.yaml")
SMEARS = validate(
    SmearsParams,
    PARAMS["sources"]["smears"]
    | {"width": 320, "height": 240, "counts": {"NEUTROPHIL": 5, "LYMPHOCYTE": 3, "BAND": 4}, "twins": 0}
    | {"multi_cell": 1, "unlabelled": 0, "missing": 2, "corrupt": 0, "duplicates": 0},
)
NOTHING = pd.DataFrame({"id": [], "group": [], "split": [], "path": []}, dtype=object)
CLEAN = validate(CleanParams, PARAMS["clean"] | {"size": [32, 32], "exclude": ["LYMPHOCYTE"]})


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network that calls everything by the second of its two classes."""
    image = keras.Input((32, 32, 3), dtype="uint8")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")(pooled))
    network.layers[-1].bias.assign([0.0, np.log(3.0)])
    return network


def evaluated(
    model: keras.Model,
    *,
    own: pd.DataFrame = NOTHING,
    smears: dict[str, Any] | None = None,
    clean: dict[str, Any] | None = None,
    **external: Any,
) -> Outcome:
    return evaluate_source(
        SOURCES["smears"],
        source_params=SMEARS.model_copy(update=smears or {}),
        external=ExternalParams(source="smears", **external),
        clean_params=CLEAN.model_copy(update=clean or {}),
        model=model,
        classes=["LYMPHOCYTE", "NEUTROPHIL"],
        own=own,
    )


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What smears of one seed show, which a model may have learnt: the single cells, sorted by id, with their path."""
    folder = tmp_path_factory.mktemp("own")
    records = SOURCES["smears"].bring(folder, params=SMEARS)
    usable = records[(records["file"] != "") & ~records["category"].str.contains(",")].sort_values("id")
    return pd.DataFrame({"id": usable["id"], "group": usable["id"], "path": [folder / file for file in usable["file"]]})


def test_known_classes_are_scored_and_unknown_ones_are_named(model: keras.Model) -> None:
    outcome = evaluated(model, window=120)
    assert outcome.scores["known"]["images"] == 8
    assert outcome.scores["known"]["accuracy"] == 5 / 8
    assert outcome.scores["unknown"] == {"BAND": {"NEUTROPHIL": 4}}
    assert outcome.scores["dropped"] == {"missing_file": 2, "multi_cell": 1}
    assert outcome.scores["seen"] == {}
    assert str(outcome) == "8 images, accuracy 0.625; 4 BAND, which the model does not know"
    called = outcome.images[outcome.images["left_out"] == ""]
    assert called["truth"].value_counts().to_dict() == {"NEUTROPHIL": 5, "BAND": 4, "LYMPHOCYTE": 3}
    assert called["probability_NEUTROPHIL"].tolist() == [0.75] * 12
    assert called["probability_BAND"].tolist() == [0.0] * 12


def test_classes_are_renamed_to_the_models(model: keras.Model) -> None:
    outcome = evaluated(model, rename={"band": "neutrophil"})
    assert outcome.scores["unknown"] == {}
    assert outcome.scores["known"]["accuracy"] == 9 / 12


def test_patients_that_the_file_names_are_one_unit_each(model: keras.Model) -> None:
    outcome = evaluated(model, groups={"pattern": "(BloodImage)_"})
    assert outcome.scores["known"]["groups"] == 1
    assert outcome.scores["known"]["accuracy_low"] < evaluated(model).scores["known"]["accuracy_low"]


def test_photographs_that_the_model_has_are_left_out_with_the_reason(
    model: keras.Model, photographs: pd.DataFrame
) -> None:
    own = photographs.iloc[[0, 3, 5]].assign(split=["train", "validation", "test"], id=["one", "two", "three"])
    outcome = evaluated(model, own=own)
    names = photographs["id"].tolist()
    left_out = outcome.images[outcome.images["left_out"].str.startswith("seen")]
    assert left_out[["id", "left_out", "detail"]].values.tolist() == [
        [names[0], "seen_in_train", "one"],
        [names[3], "seen_in_validation", "two"],
        [names[5], "seen_in_test", "three"],
    ]
    assert left_out["prediction"].isna().all()
    assert outcome.scores["seen"] == {"train": 1, "validation": 1, "test": 1}
    assert "1 left out, which show what is in the train part" in str(outcome)
    unknown = sum(sum(called.values()) for called in outcome.scores["unknown"].values())
    assert outcome.scores["known"]["images"] + unknown == 12 - 3
    assert len(outcome.images) == 12 + 3  # with the missing and the multi-cell ones


def test_a_split_that_tears_groups_apart_counts_by_the_part_that_was_learnt_from(
    model: keras.Model, photographs: pd.DataFrame
) -> None:
    own = photographs.iloc[[0, 3]].assign(split=["test", "train"], group="of one patient")
    outcome = evaluated(model, own=own)
    assert outcome.scores["seen"] == {"train": 2}


def test_the_group_of_a_photograph_that_the_model_has_is_left_out_whole(model: keras.Model, tmp_path: Path) -> None:
    drawn = {"twins": 5, "counts": {"NEUTROPHIL": 5, "LYMPHOCYTE": 3}}
    SOURCES["smears"].bring(tmp_path, params=SMEARS.model_copy(update=drawn))
    one, other = pd.read_csv(tmp_path / "twins.csv").iloc[0]
    own = pd.DataFrame({"id": [one], "group": one, "split": "train", "path": [tmp_path / f"JPEGImages/{one}.jpg"]})
    outcome = evaluated(model, own=own, smears=drawn)
    assert set(outcome.images.loc[outcome.images["left_out"] == "seen_in_train", "id"]) == {one, other}
    assert outcome.scores["known"]["images"] == 13 - 2
    assert outcome.scores["known"]["groups"] == 8 - 1  # two photographs of one cell count as one
    assert 0 < outcome.scores["known"]["accuracy_low"] < outcome.scores["known"]["accuracy"]


def test_the_patient_of_a_photograph_that_the_model_has_is_left_out_whole(photographs: pd.DataFrame) -> None:
    manifest = photographs.iloc[:3].assign(group=["P1", "P2", "P1"], file=photographs["path"].astype(str))
    own = photographs.iloc[[2]].assign(split="train")
    seen = find_seen(manifest, raw=Path("/"), own=own)
    assert seen["id"].tolist() == photographs["id"].iloc[[0, 2]].tolist()
    assert seen["like"].tolist() == own["id"].tolist() * 2


def test_a_source_of_which_nothing_is_new_has_no_scores(model: keras.Model, photographs: pd.DataFrame) -> None:
    outcome = evaluated(model, own=photographs.assign(split="train"))
    assert outcome.scores["known"] is None
    assert outcome.scores["seen"] == {"train": 12}
    assert str(outcome) == "no image of a known class; 12 left out, which show what is in the train part"


def test_where_twins_are_not_sought_nobody_claims_that_the_source_is_new(
    model: keras.Model, photographs: pd.DataFrame
) -> None:
    outcome = evaluated(model, own=photographs.assign(split="train"), clean={"twins": False})
    assert outcome.scores["seen"] is None
    assert outcome.scores["known"]["images"] == 8
    assert "not compared with the model's own photographs, for clean.twins is false" in str(outcome)
