from pathlib import Path
from typing import Any

import pytest

from wbc.augment.params import AugmentParams
from wbc.base.params import ParamsError, Section, read_params, read_section, validate
from wbc.clean.params import CleanParams
from wbc.evaluate.params import EvaluateParams
from wbc.gate.params import GateParams
from wbc.sources.params import DataParams, SmearsParams, SourcesParams
from wbc.split.params import SplitParams
from wbc.train.params import TrainParams

PARAMS = Path(__file__).parents[2] / "params.yaml"
SCHEMAS: dict[str, type[Section]] = {
    "augment": AugmentParams,
    "clean": CleanParams,
    "data": DataParams,
    "evaluate": EvaluateParams,
    "gate": GateParams,
    "sources": SourcesParams,
    "split": SplitParams,
    "train": TrainParams,
}


@pytest.mark.parametrize("section", SCHEMAS)
def test_the_file_of_this_project_is_in_order(section: str) -> None:
    read_section(SCHEMAS[section], section, path=PARAMS)


def accept(section: str, **changes: Any) -> Any:
    return validate(SCHEMAS[section], read_params(PARAMS)[section] | changes, where=section)


@pytest.mark.parametrize("section", SCHEMAS)
def test_an_unknown_key_is_refused(section: str) -> None:
    with pytest.raises(ParamsError, match=rf"^params\.yaml: {section}\.colour_depth: Extra inputs"):
        accept(section, colour_depth=8)


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("augment", {"rotation": -1}),
        ("augment", {"rotation": 181}),
        ("augment", {"rotation": float("nan")}),
        ("augment", {"shift": 1}),
        ("augment", {"shear": 1.5}),
        ("augment", {"scale": 1.0}),
        ("augment", {"brightness": -0.1}),
        ("augment", {"colour": "much"}),
        ("augment", {"flips": "sometimes"}),
        ("augment", {"target_per_class": 0}),
        ("augment", {"copies": -1}),
        ("augment", {"balance": "smoke"}),
        ("augment", {"order": "smote_first"}),
        ("augment", {"neighbours": 0}),
        ("clean", {"window": 15}),
        ("clean", {"window": 5000}),
        ("clean", {"size": [160, 160, 3]}),
        ("clean", {"crop": "centre"}),
        ("clean", {"exclude": "BASOPHIL"}),
        ("clean", {"thin": {"NEUTROPHIL": 1.1}}),
        ("clean", {"greyscale": 3}),
        ("clean", {"twins": "perhaps"}),
        ("clean", {"contradictions": "ignore"}),
        ("data", {"source": "bcdc"}),
        ("sources", {"bccd": {"commit": "main", "labels_commit": "0" * 40}}),
        ("split", {"strategy": "honest"}),
        ("split", {"validation": 0}),
        ("split", {"test": 1}),
        ("split", {"folds": 1}),
        ("split", {"fold": -1}),
        ("train", {"label_smoothing": 1}),
        ("train", {"patience": 0}),
        ("train", {"schedule": "linear"}),
    ],
    ids=str,
)
def test_a_value_out_of_range_is_named(section: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=rf"^params\.yaml: {section}\.{next(iter(changes))}"):
        accept(section, **changes)


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("augment", {"target_per_class": None, "copies": None}, "augment: set target_per_class, copies or both"),
        ("augment", {"balance": "svm_smote"}, "augment: svm_smote learns a support vector machine, for which pixels"),
        ("split", {"validation": 0.8, "test": 0.2, "folds": None}, "split: validation and test together leave nothing"),
        ("split", {"validation": 0.5, "folds": 2}, "split: validation and test together leave nothing"),
        ("split", {"strategy": "predefined", "fold": 1}, "split: an official split has no folds"),
        (
            "split",
            {"strategy": "predefined", "folds": 4},
            "split: an official split has no folds: set fold to 0 and fol",
        ),
        ("split", {"strategy": "predefined", "test": 0.3}, "split: test: 0.3 is void, an official split has its own"),
        ("split", {"folds": 5, "fold": 5}, "split: fold 5 does not exist: with folds: 5 the last is 4"),
        (
            "split",
            {"folds": 4, "test": 0.3},
            "split: test: 0.3 is void, folds: 4 make it 1/4: set folds or test to null",
        ),
        (
            "split",
            {"folds": None, "test": 0.3, "fold": 2},
            "split: fold: 2 is void without folds: set folds, or fold to",
        ),
        ("split", {"folds": None}, "split: there is no test part: set test, the share of all images, or folds"),
    ],
)
def test_a_contradiction_is_explained(section: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=rf"^params\.yaml: {message}"):
        accept(section, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": {"NEUTROPHIL": 5, "GIANT": 1}}, "no drawing of GIANT; there are NEUTROPHIL, EOSINOPHIL"),
        ({"counts": {"NEUTROPHIL": 0}}, "counts must name at least one photograph"),
        ({"counts": {"NEUTROPHIL": 5}, "twins": 6, "duplicates": 0}, "twins and duplicates cannot exceed"),
    ],
)
def test_smears_that_cannot_be_drawn(changes: dict[str, Any], message: str) -> None:
    smears = read_params(PARAMS)["sources"]["smears"] | changes
    with pytest.raises(ParamsError, match=rf"^params\.yaml: sources\.smears: {message}"):
        validate(SmearsParams, smears, where="sources.smears")


def test_class_names_may_be_written_in_any_case() -> None:
    params = accept("clean", exclude=["basophil ", "Blast"], thin={"neutrophil": 0.1})
    assert params.exclude == ("BASOPHIL", "BLAST")
    assert params.thin == {"NEUTROPHIL": 0.1}
    assert accept("gate", per_class={"neutrophil": {"f1": 0.5}}).per_class == {"NEUTROPHIL": {"f1": 0.5}}


def test_the_share_of_the_test_part() -> None:
    assert accept("split", test=0.3, folds=None).test_share == 0.3
    assert accept("split", folds=4).test_share == 0.25
    with pytest.raises(ValueError, match="only the source knows the share"):
        _ = accept("split", strategy="predefined", folds=None).test_share


@pytest.mark.parametrize("folds", [None, 5])
def test_an_official_split_needs_no_word_about_folds(folds: int | None) -> None:
    assert accept("split", strategy="predefined", folds=folds).strategy == "predefined"
