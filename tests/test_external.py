from pathlib import Path

import keras
import numpy as np
import pytest

from wbc.external import evaluate_source
from wbc.params.base import read_params, validate
from wbc.params.clean import CleanParams
from wbc.params.evaluate import ExternalParams
from wbc.params.sources import SmearsParams
from wbc.sources.registry import SOURCES

PARAMS = read_params(Path(__file__).parents[1] / "params.yaml")
SMEARS = validate(
    SmearsParams,
    PARAMS["sources"]["smears"]
    | {"width": 320, "height": 240, "counts": {"NEUTROPHIL": 5, "LYMPHOCYTE": 3, "BAND": 4}, "twins": 0}
    | {"multi_cell": 1, "unlabelled": 0, "missing": 2, "corrupt": 0, "duplicates": 0},
)
CLEAN = validate(CleanParams, PARAMS["clean"] | {"size": [32, 32], "exclude": ["LYMPHOCYTE"]})


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A network that calls everything by the second of its two classes."""
    image = keras.Input((32, 32, 3), dtype="uint8")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))
    network = keras.Model(image, keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")(pooled))
    network.layers[-1].bias.assign([0.0, np.log(3.0)])
    return network


def test_known_classes_are_scored_and_unknown_ones_are_named(model: keras.Model) -> None:
    outcome = evaluate_source(
        SOURCES["smears"],
        source_params=SMEARS,
        external=ExternalParams(source="smears", window=120),
        clean_params=CLEAN,
        model=model,
        classes=["LYMPHOCYTE", "NEUTROPHIL"],
    )
    assert outcome.scores["known"]["images"] == 8
    assert outcome.scores["known"]["accuracy"] == 5 / 8
    assert outcome.scores["unknown"] == {"BAND": {"NEUTROPHIL": 4}}
    assert outcome.scores["dropped"] == {"missing_file": 2, "multi_cell": 1}
    assert str(outcome) == "8 images, accuracy 0.625; 4 BAND, which the model does not know"
    assert outcome.predictions["truth"].value_counts().to_dict() == {"NEUTROPHIL": 5, "BAND": 4, "LYMPHOCYTE": 3}
    assert outcome.predictions["probability_NEUTROPHIL"].tolist() == [0.75] * 12
    assert outcome.predictions["probability_BAND"].tolist() == [0.0] * 12


def test_classes_are_renamed_to_the_models(model: keras.Model) -> None:
    outcome = evaluate_source(
        SOURCES["smears"],
        source_params=SMEARS,
        external=ExternalParams(source="smears", rename={"band": "neutrophil"}),
        clean_params=CLEAN,
        model=model,
        classes=["LYMPHOCYTE", "NEUTROPHIL"],
    )
    assert outcome.scores["unknown"] == {}
    assert outcome.scores["known"]["accuracy"] == 9 / 12
