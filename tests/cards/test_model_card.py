import json
import re
from pathlib import Path

import pytest

from tests.locks import write_lock
from wbc.cards.model_card import write_model_card
from wbc.cards.results import read_results
from wbc.tracking.lineage import StaleResultsError

ROOT = Path(__file__).parents[2]


def written(folder: Path) -> str:
    write_model_card(folder / "docs" / "model-card.md", read_results())
    return (folder / "docs" / "model-card.md").read_text()


def change(folder: Path, name: str, **changes: object) -> None:
    path = folder / "metrics" / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    write_lock(folder)


def test_the_card_says_what_the_run_was(recorded: Path) -> None:
    card = written(recorded)
    assert card.startswith("# Model card: efficientnet_lite0 on bccd\n")
    assert "**Not for diagnosis.**" in card
    assert "On 5 test images it reaches accuracy 0.800 (" in card
    assert "1,234,567 parameters" in card
    assert "photographs of one cell or field are one group" in card.lower()
    assert "class B has 2 images" in card
    assert "- 1 of 3 A called B\n" in card
    assert "| `models/model.keras` | `abcdef` |" in card
    assert "B has the fewest test images, 2" in card


def test_nothing_in_the_card_is_left_undefined(recorded: Path) -> None:
    card = written(recorded)
    assert not re.search(r"\bNone\b|\bnan\b|\{\{|\{%|\n\n\n", card)


def test_pictures_are_linked_from_where_the_card_is_and_only_those_that_exist(recorded: Path) -> None:
    card = written(recorded)
    links = re.findall(r"!\[.*?\]\((.*?)\)", card)
    assert links == ["../metrics/figures/evaluate/confusion_matrix.png"]
    assert (recorded / "docs" / links[0]).exists()


def test_without_an_external_test_the_card_says_that_nothing_measures_the_step(recorded: Path) -> None:
    assert "It was tested on no other source" in written(recorded)


def test_an_external_test_is_reported_with_the_classes_that_the_model_does_not_know(recorded: Path) -> None:
    known = {"images": 9, "accuracy": 0.5, "macro_f1": 0.25}
    change(recorded, "external", smears={"known": known, "unknown": {"C": {"A": 2, "B": 1}}, "dropped": {}})
    card = written(recorded)
    assert (
        "`smears`: 9 images, accuracy 0.500, macro F1 0.250; "
        "3 images of C, which it does not know, it called A (2), B (1)" in card
    )
    assert "tested on no other source" not in card
    assert "left out" not in card


def test_the_card_says_how_much_of_an_external_source_was_no_news(recorded: Path) -> None:
    seen = {"train": 3, "test": 2}
    change(recorded, "external", smears={"known": None, "unknown": {}, "seen": seen, "dropped": {}})
    assert (
        "`smears`: no image of a class that the model knows; "
        "5 images were left out, for they show what its own photographs do" in written(recorded)
    )


def test_the_validation_accuracy_says_what_it_is_of(recorded: Path) -> None:
    change(recorded, "train", networks=3)
    card = " ".join(written(recorded).split())
    assert (
        "The model that is kept has a validation accuracy of 0.875, its probabilities being the mean of 3 networks and "
        "8 orientations of each image; the learning curves are of one network, one look at each image."
    ) in card


def test_results_of_other_parameters_get_no_card_and_an_external_test_of_them_is_not_told(recorded: Path) -> None:
    change(recorded, "external", smears={"known": {"images": 9, "accuracy": 0.5, "macro_f1": 0.25}, "unknown": {}})
    write_lock(recorded, external={"seed": 5})
    assert "It was tested on no other source" in written(recorded)
    write_lock(recorded, suspects={"threads": 5})
    with pytest.raises(ValueError, match=r"metrics/suspects\.csv is of another run"):
        written(recorded)
    write_lock(recorded, train={"seed": 5})
    with pytest.raises(StaleResultsError, match="train ran with seed=5, params"):
        written(recorded)


def test_random_weights_and_a_leaky_split_are_said_aloud(recorded: Path) -> None:
    change(recorded, "train", weights_requested="auto", weights_used="random", origin=None)
    change(recorded, "split", strategy="leaky")
    card = written(recorded)
    assert "started from random weights" in card
    assert "no estimate of anything" in card
    assert "After the split the training part alone" not in card


def test_of_another_source_the_card_claims_nothing_that_holds_for_bccd(recorded: Path) -> None:
    params = recorded / "params.yaml"
    params.write_text(params.read_text().replace("source: bccd ", "source: folders "))
    card = written(recorded)
    assert "BCCD" not in card
    assert "for whoever chose it to describe" in card


def test_a_temperature_and_a_review_are_told(recorded: Path) -> None:
    change(recorded, "train", temperature=1.25)
    review = {"threshold": 0.6, "wished_error": 0.05, "reviewed": 2, "coverage": 0.6, "error": 0.0}
    change(recorded, "evaluation", review=review, by_flag={"cut_by_frame": {"images": 3, "errors": 1}})
    card = written(recorded)
    assert "scaled by a temperature of 1.25" in card
    assert "2 predictions with a confidence below 0.600 are marked for review" in card
    assert "1 of 3 cut by frame" in card


@pytest.mark.parametrize("letter", "CT")
def test_items_are_named_in_the_form_that_the_card_explains(recorded: Path, letter: str) -> None:
    last = {"C": 44, "T": 27}[letter]
    brackets = re.findall(r"\[([CT]\d+[a-g]?(?:[,;] [CT]\d+[a-g]?)*)\]", written(recorded))
    items = [item for bracket in brackets for item in re.findall(r"([CT])(\d+)", bracket)]
    numbers = [int(number) for kind, number in items if kind == letter]
    assert len(set(numbers)) > 15
    assert max(numbers) <= last


def test_the_cards_of_the_repository_can_be_written_from_its_own_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    write_model_card(tmp_path / "card.md", read_results())
    assert "Not for diagnosis" in (tmp_path / "card.md").read_text()
