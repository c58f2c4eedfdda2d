from pathlib import Path

import pandas as pd
import pytest

from tests.locks import write_lock
from wbc.cards.data_card import tabulate_data
from wbc.cards.results import CLASS_HEADER, OVERALL, confusions, measure_rows, read_results
from wbc.data.tables import SPLITS
from wbc.evaluate.page import class_rows


def test_the_files_of_a_run_are_read_together(recorded: Path) -> None:
    results = read_results()
    assert results.source == "bccd"
    assert results.digests["models/model.keras"] == "abcdef"
    assert results.predictions["id"].tolist() == ["one", "two", "three", "four", "five"]


def test_the_settings_are_those_of_the_chosen_model_and_source(recorded: Path) -> None:
    settings = read_results().settings
    assert settings["seed"] == 1
    assert settings["models.efficientnet_lite0.head"] == "pooled"
    assert settings["sources.bccd.commit"].startswith("d272fb1")
    assert {key.split(".")[1] for key in settings if key.startswith("models.")} == {"efficientnet_lite0"}
    assert not [key for key in settings if key.startswith(("gate.", "sources.smears"))]


def test_a_run_without_an_external_test_has_none(recorded: Path) -> None:
    (recorded / "metrics" / "external.json").unlink()
    assert read_results().external == {}


def test_a_missing_file_names_the_stage_that_makes_it(recorded: Path) -> None:
    (recorded / "metrics" / "train.json").unlink()
    with pytest.raises(ValueError, match="make it with `dvc repro train`"):
        read_results()


def test_class_names_stay_the_text_they_are(recorded: Path) -> None:
    for name in ("predictions", "suspects"):
        file = recorded / "metrics" / f"{name}.csv"
        file.write_text(file.read_text().replace(",A", ",NA").replace(",B", ",True").replace("two", "007"))
    write_lock(recorded)
    results = read_results()
    assert results.predictions["id"].tolist() == ["one", "007", "three", "four", "five"]
    assert results.predictions["truth"].tolist() == ["NA", "NA", "NA", "True", "True"]
    assert results.predictions["prediction"].tolist() == ["NA", "NA", "True", "True", "True"]
    assert results.suspects.values.tolist() == [["007", "NA", "True", -0.5]]
    parts = {part: results.parts[part] for part in SPLITS}
    assert "| 1: 1 NA like True |" in tabulate_data(results.cleaned, parts, results.suspects)


def test_rows_show_each_class_and_measure_with_its_interval(recorded: Path) -> None:
    evaluation = read_results().evaluation
    rows = list(class_rows(evaluation["per_class"]))
    assert CLASS_HEADER[:4] == ["class", "test images", "sensitivity", "specificity"]
    assert [row[:2] for row in rows] == [["A", "3"], ["B", "2"]]
    assert rows[1][2] == "1.00 (0.34 to 1.00)"  # Wilson's, for two of two
    titles = [title for title, _ in measure_rows(evaluation, OVERALL)]
    assert titles == list(OVERALL)
    assert list(measure_rows({"accuracy": 0.5}, OVERALL)) == [["accuracy", "0.500"]]


def test_confusions_are_counted_the_most_frequent_first() -> None:
    predictions = pd.DataFrame({"truth": list("AABBBC"), "prediction": list("ABAAAC")})
    assert confusions(predictions) == [("B", "A", 3, 3), ("A", "B", 1, 2)]
