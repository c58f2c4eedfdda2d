from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbc.clean.cleaning import Cleaned, clean
from wbc.clean.params import CleanParams
from wbc.clean.rejects import REASONS, parse_category
from wbc.clean.summary import summarise_cleaning
from wbc.data.arrays import read_images
from wbc.data.tables import MANIFEST, read_table
from wbc.sources.bccd import bring
from wbc.sources.drawing import draw_smear
from wbc.sources.labels import read_labels
from wbc.sources.params import BccdParams
from wbc.tools.voc import Box, write_annotation


def parameters(**changes: object) -> CleanParams:
    defaults = {
        "exclude": ["BASOPHIL"],
        "thin": {},
        "crop": "cell",
        "window": 64,
        "size": [32, 32],
        "greyscale": False,
        "twins": False,  # the discs of lay_out look alike
        "contradictions": "drop",
    }
    return CleanParams.model_validate(defaults | changes)


def run(folder: Path, *, seed: int = 0, **changes: object) -> Cleaned:
    """Clean the raw data in ``folder`` into its cells.npy."""
    records = read_labels(folder)
    return clean(records, raw=folder, cells=folder / "cells.npy", params=parameters(**changes), seed=seed)


def lay_out(folder: Path, categories: dict[int, str], *, boxes: dict[int, int] | None = None) -> Path:
    """Make raw data: a photograph with one nucleus and, unless ``boxes`` says otherwise, one box for each number."""
    for name in ("JPEGImages", "Annotations"):
        (folder / name).mkdir()
    for number in categories:
        image = np.full((120, 160, 3), (215, 225, 230), np.uint8)
        cv2.circle(image, (40 + number, 60), 15, (150, 50, 90), -1)
        cv2.imwrite(str(photograph(folder, number)), image)
        found = [Box("RBC", 1, 1, 9, 9), *[Box("WBC", 20, 40, 80, 80)] * (boxes or {}).get(number, 1)]
        write_annotation(annotation(folder, number), image=f"{number}.jpg", width=160, height=120, boxes=found)
    rows = [f',{number},"{category}"\n' for number, category in categories.items()]
    (folder / "labels.csv").write_text(",Image,Category\n" + "".join(rows))
    return folder


def photograph(folder: Path, number: int) -> Path:
    return folder / "JPEGImages" / f"BloodImage_{number:05d}.jpg"


def annotation(folder: Path, number: int) -> Path:
    return folder / "Annotations" / f"BloodImage_{number:05d}.xml"


@pytest.mark.parametrize(
    ("category", "classes"),
    [
        ("NEUTROPHIL", ("NEUTROPHIL",)),
        (" neutrophil ,  Eosinophil", ("NEUTROPHIL", "EOSINOPHIL")),
        ("NEUTROPHIL,NEUTROPHIL", ("NEUTROPHIL", "NEUTROPHIL")),
        ("Band\t  cell,", ("BAND CELL",)),
        ("", ()),
        (" , ", ()),
    ],
)
def test_classes_of_a_category(category: str, classes: tuple[str, ...]) -> None:
    assert parse_category(category) == classes


NAMES = st.text("abcXYZ019é-_/'", min_size=1, max_size=6)
BLANKS = st.text(" \t\n\u00a0", max_size=3)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Return a category as somebody may have typed it, and its class names."""
    names = draw(st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=4))
    parts = []
    for words in names:
        gap = draw(BLANKS) + " "
        parts.append(draw(BLANKS) + gap.join(words) + draw(BLANKS))
        parts += draw(st.lists(BLANKS, max_size=1))  # a comma too many
    return ",".join(parts), [" ".join(words).upper() for words in names]


@given(spelling=spellings())
def test_however_a_category_is_spelled_its_classes_are_found(spelling: tuple[str, list[str]]) -> None:
    category, names = spelling
    assert parse_category(category) == tuple(names)


@given(category=st.text(max_size=30) | st.text("aB ,\t", max_size=12))
def test_any_text_gives_classes_that_stay_what_they_are(category: str) -> None:
    names = parse_category(category)
    assert parse_category(", ".join(names)) == names
    assert all(name and name == " ".join(name.split()) and "," not in name for name in names)


# Pairs of BCCD that show the same field, each judged side by side.
SEEN_BY_EYE = {
    ("00019", "00020"),
    ("00037", "00038"),
    ("00040", "00041"),
    ("00107", "00108"),
    ("00160", "00161"),
    ("00204", "00276"),
    ("00204", "00277"),
    ("00205", "00276"),
    ("00206", "00278"),
    ("00207", "00279"),
    ("00223", "00263"),
    ("00223", "00264"),
    ("00224", "00264"),
    ("00225", "00262"),
    ("00225", "00264"),
    ("00226", "00261"),
    ("00227", "00260"),
    ("00228", "00259"),
    ("00229", "00258"),
    ("00230", "00257"),
    ("00231", "00256"),
    ("00232", "00255"),
    ("00233", "00254"),
    ("00236", "00253"),
    ("00237", "00252"),
    ("00239", "00240"),
    ("00243", "00250"),
    ("00244", "00247"),
    ("00276", "00277"),
    ("00364", "00409"),
    ("00365", "00408"),
    ("00377", "00400"),
    ("00381", "00397"),
    ("00382", "00395"),
    ("00384", "00393"),
    ("00386", "00391"),
}


@pytest.fixture(scope="module")
def bccd(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Cleaned:
    folder = tmp_path_factory.mktemp("bccd")
    params = BccdParams(
        commit="d272fb14cdff6e473fafeeeba32aba5f560e9e43", labels_commit="0b22eb2084b1004d464fb5ab87adc85ab94b2079"
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WBC_MIRROR", str(mirror))
        environment.setenv("DVC_ROOT", str(folder))
        bring(folder / "raw", params=params)
    return run(folder / "raw", window=300, size=[160, 160], twins=True)


def test_the_counts_of_bccd(bccd: Cleaned) -> None:
    assert summarise_cleaning(*bccd, window=180) == {
        "records": 411,
        "kept": 342,
        "dropped": 69,
        "labelled": {"BASOPHIL": 3, "EOSINOPHIL": 87, "LYMPHOCYTE": 33, "MONOCYTE": 20, "NEUTROPHIL": 205},
        "classes": {"EOSINOPHIL": 87, "LYMPHOCYTE": 32, "MONOCYTE": 19, "NEUTROPHIL": 204},
        "reasons": {
            "missing_file": 47,
            "unlabelled": 1,
            "multi_cell": 15,
            "excluded_class": 3,
            "unreadable": 0,
            "more_boxes_than_labels": 1,
            "exact_duplicate": 0,
            "thinned": 0,
            "contradictory_label": 2,
        },
        "fewer_boxes_than_labels": 5,
        "nucleus_not_found": 0,
        "smaller_than_window": 0,
        "located": {"boxed": 337, "inside": 337, "rate": 1.0},
        "twins": {
            "pairs": 34,
            "copy": 1,
            "same_cell": 26,
            "overlap": 7,
            "groups": 28,
            "grouped_images": 60,
            "largest_group": 4,
            "contradictory_images": 2,
        },
        "flags": {
            "cut_by_frame": 105,
            "no_nucleus": 0,
            "several_nuclei": 0,
            "out_of_focus": 13,
            "too_dark": 0,
            "too_bright": 0,
            "black_corners": 0,
            "unusual_size": 0,
            "greyscale": 0,
        },
    }


def test_the_contradictions_of_bccd(bccd: Cleaned) -> None:
    manifest, dropped, _ = bccd
    numbers = manifest.loc[manifest["boxes"] == 0, "id"].str.removeprefix("BloodImage_").tolist()
    assert numbers == ["00133", "00135", "00178", "00228", "00327"]
    assert dropped.loc[dropped["reason"] == "more_boxes_than_labels", "id"].tolist() == ["BloodImage_00113"]
    assert manifest["id"].is_monotonic_increasing


def test_the_cells_that_bccd_shows_twice(bccd: Cleaned) -> None:
    manifest, dropped, twins = bccd
    contradictory = dropped[dropped["reason"] == "contradictory_label"]
    assert contradictory[["id", "detail"]].values.tolist() == [
        ["BloodImage_00206", "BloodImage_00278"],
        ["BloodImage_00278", "BloodImage_00206"],
    ]
    pairs = set(zip(twins["id_a"].str[-5:], twins["id_b"].str[-5:], strict=True))
    assert len(pairs & SEEN_BY_EYE) >= 31
    assert pairs <= SEEN_BY_EYE
    groups = manifest.set_index("id")["group"]
    assert groups["BloodImage_00276"] == groups["BloodImage_00277"] == groups["BloodImage_00204"] == "BloodImage_00204"
    assert groups["BloodImage_00001"] == "BloodImage_00001"


def test_each_reason(tmp_path: Path) -> None:
    labels = {
        1: "neutrophil ",
        2: "Neutrophil,Eosinophil",
        3: "NEUTROPHIL,  NEUTROPHIL",
        4: "",
        5: "basophil",
        6: "NEUTROPHIL",
        7: "NEUTROPHIL",
        8: "NEUTROPHIL",
        9: "NEUTROPHIL",
        10: "NEUTROPHIL",
        11: "NEUTROPHIL",
        12: "NEUTROPHIL",
        13: "MONOCYTE",
        14: "MONOCYTE",
        16: "NEUTROPHIL",
    }
    folder = lay_out(tmp_path, labels, boxes={6: 2, 12: 0})
    photograph(folder, 7).write_bytes(b"no photograph")
    photograph(folder, 16).write_bytes(b"nor this one.")  # as long as another, and no duplicate of it
    photograph(folder, 8).unlink()
    annotation(folder, 9).write_text("<annotation>")
    photograph(folder, 10).write_bytes(photograph(folder, 1).read_bytes())
    photograph(folder, 11).write_bytes(b"")
    annotation(folder, 12).unlink()
    photograph(folder, 15).write_bytes(photograph(folder, 4).read_bytes())
    manifest, dropped, twins = run(folder, thin={"monocyte": 0.5})
    numbered = dropped.assign(id=dropped["id"].str[-2:].astype(int)).set_index("id")
    thinned = numbered.index[numbered["reason"] == "thinned"].item()
    assert thinned in (13, 14)
    assert numbered["reason"].to_dict() == {
        2: "multi_cell",
        3: "multi_cell",
        4: "unlabelled",
        5: "excluded_class",
        6: "more_boxes_than_labels",
        7: "unreadable",
        8: "missing_file",
        9: "unreadable",
        10: "exact_duplicate",
        11: "unreadable",
        thinned: "thinned",
        15: "unlabelled",
        16: "unreadable",
    }
    assert set(numbered["reason"]) == set(REASONS) - {"contradictory_label"}
    assert numbered.loc[[5, 6, 10], "detail"].tolist() == ["BASOPHIL", "2 boxes", "BloodImage_00001"]
    assert "BloodImage_00009.xml" in numbered.loc[9, "detail"]
    assert numbered.loc[3, "category"] == "NEUTROPHIL, NEUTROPHIL"
    assert manifest["label"].tolist() == ["NEUTROPHIL", "NEUTROPHIL", "MONOCYTE"]
    assert manifest["boxes"].tolist() == [1, 0, 1]
    assert len(manifest) + len(dropped) == 16
    reasons = {name: count for name, count in summarise_cleaning(manifest, dropped, twins)["reasons"].items() if count}
    assert reasons == dict(dropped["reason"].value_counts())


def test_row_i_describes_image_i(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, dict.fromkeys((30, 7, 1), "NEUTROPHIL"))
    manifest, dropped, twins = run(folder, window=16, size=[16, 16])
    assert manifest["id"].tolist() == ["BloodImage_00001", "BloodImage_00007", "BloodImage_00030"]
    assert manifest["nucleus_x"].tolist() == pytest.approx([41, 47, 70], abs=1)
    assert manifest[["width", "height", "box_left", "box_bottom"]].drop_duplicates().values.tolist() == [
        [160, 120, 20, 80]
    ]
    images = read_images(folder / "cells.npy")
    assert images.shape == (3, 16, 16, 3)
    assert images[2, 8, 8].tolist() == pytest.approx([90, 50, 150], abs=6)
    assert dropped.empty
    assert summarise_cleaning(manifest, dropped, twins)["located"] == {"boxed": 3, "inside": 3, "rate": 1.0}


def test_the_manifest_can_be_read_again_though_every_number_is_whole(tmp_path: Path) -> None:
    manifest, *_ = run(lay_out(tmp_path, {1: "NEUTROPHIL", 2: "MONOCYTE"}))
    manifest.to_csv(tmp_path / "manifest.csv", index=False, float_format="%.8g")
    pd.testing.assert_frame_equal(read_table(tmp_path / "manifest.csv", MANIFEST), manifest)


def test_a_nucleus_outside_the_box_is_counted_and_kept(tmp_path: Path) -> None:
    summary = summarise_cleaning(*run(lay_out(tmp_path, {1: "NEUTROPHIL", 60: "NEUTROPHIL"})))
    assert summary["kept"] == 2
    assert summary["located"] == {"boxed": 2, "inside": 1, "rate": 0.5}


@pytest.mark.parametrize(
    ("window", "crop", "padded"),
    [(180, "cell", "41%"), (140, "cell", "14%"), (120, "cell", None), (180, "whole", None)],
)
def test_a_window_larger_than_the_photographs_is_said_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture, window: int, crop: str, padded: str | None
) -> None:
    cleaned = run(lay_out(tmp_path, {1: "NEUTROPHIL", 2: "MONOCYTE"}), window=window, crop=crop)
    said = capsys.readouterr().out
    counted = summarise_cleaning(*cleaned, window=window if crop == "cell" else None)["smaller_than_window"]
    if padded is None:
        assert (said, counted) == ("", 0)
    else:
        assert f"warning: the window of {window} px is larger than 2 of 2 photographs, the first 160x120 px: " in said
        assert f"at least {padded} of their images is painted as empty slide" in said
        assert "set clean.crop to whole; else set clean.window" in said
        assert counted == 2


def test_any_class_is_excluded_by_name(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, {1: "BASOPHIL", 2: "Monocyte", 3: "NEUTROPHIL"})
    manifest, dropped, _ = run(folder, exclude=["monocyte"])
    assert manifest["label"].tolist() == ["BASOPHIL", "NEUTROPHIL"]
    assert dropped["detail"].tolist() == ["MONOCYTE"]


def test_thinning_takes_the_share_by_id_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, {number: "MONOCYTE" if number > 20 else "NEUTROPHIL" for number in range(1, 26)})
    manifest, dropped, _ = run(folder, thin={"NEUTROPHIL": 0.25})
    assert manifest["label"].value_counts().to_dict() == {"NEUTROPHIL": 15, "MONOCYTE": 5}
    assert set(dropped["detail"]) == {"0.25 of NEUTROPHIL"}
    _, more, _ = run(folder, thin={"NEUTROPHIL": 0.5})
    assert set(dropped["id"]) < set(more["id"])
    _, other, _ = run(folder, thin={"NEUTROPHIL": 0.25}, seed=1)
    assert set(dropped["id"]) != set(other["id"])


@pytest.mark.parametrize("name", ["BLAST", "BASOPHIL"])
def test_thinning_a_class_that_is_not_there(tmp_path: Path, name: str) -> None:
    folder = lay_out(tmp_path, {1: "MONOCYTE", 2: "NEUTROPHIL", 3: "BASOPHIL"})
    with pytest.raises(ValueError, match=f"thin names {name}, but there are only MONOCYTE, NEUTROPHIL"):
        run(folder, thin={name: 0.1})


def test_nothing_usable_is_an_error_that_counts_the_reasons(tmp_path: Path) -> None:
    folder = lay_out(tmp_path, {1: "BASOPHIL", 2: "NEUTROPHIL"})
    photograph(folder, 2).write_bytes(b"no photograph")
    with pytest.raises(ValueError, match=r"none of 2 photographs is usable: .*'excluded_class': 1, 'unreadable': 1"):
        run(folder)
    assert not (folder / "cells.npy").exists()


def test_one_depth_holds_for_all_files_and_faults_are_named(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = lay_out(tmp_path, dict.fromkeys((1, 2, 3), "NEUTROPHIL"))
    for number, level in {1: 1000, 2: 200}.items():
        deep = np.full((120, 160, 3), level, np.uint16)
        photograph(folder, number).write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    photograph(folder, 3).write_bytes(cv2.imencode(".tif", np.ones((9, 9), np.float32))[1].tobytes())
    _, dropped, _ = run(folder, crop="whole")
    assert read_images(folder / "cells.npy")[:, 0, 0, 0].tolist() == [249, 50]  # of 1023
    assert "2 files of 16 bits are scaled from 10 bits; their peaks are 200 to 1000" in capsys.readouterr().out
    assert dropped["detail"].tolist() == [
        "JPEGImages/BloodImage_00003.jpg: it has 32 bits a channel: save it with 8 or 16"
    ]


def lay_out_smears(folder: Path) -> Path:
    """Make raw data of three drawn fields, the first of them photographed twice and labelled twice."""
    lay_out(folder, dict.fromkeys((1, 2, 3, 4), "NEUTROPHIL") | {2: "EOSINOPHIL"})
    for number, (field, take) in {1: (1, 0), 2: (1, 1), 3: (3, 0), 4: (4, 0)}.items():
        image, _ = draw_smear(seed=0, number=field, classes=["NEUTROPHIL"], width=320, height=240, take=take)
        cv2.imwrite(str(photograph(folder, number)), image[..., ::-1])
    return folder


def test_a_cell_of_two_classes_is_dropped_with_both_photographs(tmp_path: Path) -> None:
    manifest, dropped, twins = run(lay_out_smears(tmp_path), twins=True)
    assert manifest["id"].tolist() == ["BloodImage_00003", "BloodImage_00004"]
    assert dropped[["id", "reason", "detail"]].values.tolist() == [
        ["BloodImage_00001", "contradictory_label", "BloodImage_00002"],
        ["BloodImage_00002", "contradictory_label", "BloodImage_00001"],
    ]
    assert twins[["id_a", "id_b", "kind"]].values.tolist() == [["BloodImage_00001", "BloodImage_00002", "same_cell"]]
    assert len(read_images(tmp_path / "cells.npy")) == 2
    assert summarise_cleaning(manifest, dropped, twins)["twins"]["contradictory_images"] == 2


def test_a_cell_of_two_classes_is_kept_in_one_group_by_choice(tmp_path: Path) -> None:
    manifest, dropped, twins = run(lay_out_smears(tmp_path), twins=True, contradictions="keep")
    assert manifest["group"].str[-1].tolist() == ["1", "1", "3", "4"]
    assert dropped.empty
    assert summarise_cleaning(manifest, dropped, twins)["twins"]["contradictory_images"] == 2


def lay_out_copies(folder: Path, categories: dict[int, str], *, parts: dict[int, str] | None = None) -> pd.DataFrame:
    """Make raw data in which 2 and 3 are byte for byte 1, and return their records."""
    lay_out(folder, categories)
    for number in (2, 3):
        photograph(folder, number).write_bytes(photograph(folder, 1).read_bytes())
    records = read_labels(folder)
    return records.assign(part=[(parts or {}).get(int(name[-2:]), "") for name in records["id"]])


def test_one_file_in_two_classes_is_dropped_whole(tmp_path: Path) -> None:
    records = lay_out_copies(tmp_path, {1: "NEUTROPHIL", 2: "EOSINOPHIL", 3: "NEUTROPHIL", 4: "NEUTROPHIL"})
    manifest, dropped, twins = clean(records, raw=tmp_path, cells=tmp_path / "cells.npy", params=parameters(), seed=0)
    assert manifest["id"].tolist() == ["BloodImage_00004"]
    assert dropped[["id", "reason", "detail"]].values.tolist() == [
        ["BloodImage_00001", "contradictory_label", "BloodImage_00002"],
        ["BloodImage_00002", "contradictory_label", "BloodImage_00001"],
        ["BloodImage_00003", "exact_duplicate", "BloodImage_00001"],
    ]
    assert twins.empty
    assert summarise_cleaning(manifest, dropped, twins)["labelled"] == {"EOSINOPHIL": 1, "NEUTROPHIL": 3}


def test_one_file_in_two_classes_is_kept_once_for_each_and_in_one_group_by_choice(tmp_path: Path) -> None:
    records = lay_out_copies(tmp_path, {1: "NEUTROPHIL", 2: "EOSINOPHIL", 3: "NEUTROPHIL", 4: "NEUTROPHIL"})
    manifest, dropped, _ = clean(
        records, raw=tmp_path, cells=tmp_path / "cells.npy", params=parameters(contradictions="keep"), seed=0
    )
    assert manifest["id"].str[-1].tolist() == ["1", "2", "4"]
    assert manifest["group"].str[-1].tolist() == ["1", "1", "4"]
    assert dropped[["id", "reason"]].values.tolist() == [["BloodImage_00003", "exact_duplicate"]]


def test_of_copies_in_several_official_parts_the_one_in_the_latest_stays(tmp_path: Path) -> None:
    parts = {1: "train", 2: "test", 3: "validation", 4: "train"}
    records = lay_out_copies(tmp_path, dict.fromkeys(parts, "NEUTROPHIL"), parts=parts)
    records["group"] = ["patient", "", "", "patient"]
    manifest, dropped, _ = clean(records, raw=tmp_path, cells=tmp_path / "cells.npy", params=parameters(), seed=0)
    assert manifest[["id", "part"]].values.tolist() == [["BloodImage_00002", "test"], ["BloodImage_00004", "train"]]
    assert manifest["group"].unique().tolist() == ["BloodImage_00002"]  # the copy in train is of the same patient
    assert dropped[["reason", "detail"]].values.tolist() == [["exact_duplicate", "BloodImage_00002"]] * 2


def test_a_group_is_named_after_an_image_that_is_kept(tmp_path: Path) -> None:
    folder = lay_out_smears(tmp_path)
    records = read_labels(folder).assign(group=["patient", "", "patient", "patient"])
    manifest, dropped, _ = clean(records, raw=folder, cells=folder / "cells.npy", params=parameters(twins=True), seed=0)
    assert dropped["id"].tolist() == ["BloodImage_00001", "BloodImage_00002"]
    assert manifest["id"].tolist() == ["BloodImage_00003", "BloodImage_00004"]
    assert manifest["group"].tolist() == ["BloodImage_00003", "BloodImage_00003"]


def test_without_the_search_every_photograph_is_a_group(tmp_path: Path) -> None:
    manifest, _, twins = run(lay_out_smears(tmp_path), twins=False)
    assert manifest["group"].tolist() == manifest["id"].tolist()
    assert twins.empty
    assert not list(tmp_path.glob(".*.npy"))
