from pathlib import Path

import pytest

from wbc.base.params import ParamsError, Section, read_params, read_section, validate


class Oven(Section):
    """A section to try things on."""

    heat: float
    size: tuple[int, int]
    racks: dict[str, int] | None = None


def write(folder: Path, text: str) -> Path:
    (folder / "params.yaml").write_text(text)
    return folder / "params.yaml"


def test_what_dvc_writes_is_a_number(tmp_path: Path) -> None:
    path = write(tmp_path, "rate: 5e-05\nname: 5e-05x\nyes: no\ngap: null\nsize: [1, 2]\n")
    assert read_params(path) == {"rate": 5e-05, "name": "5e-05x", "yes": "no", "gap": None, "size": [1, 2]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "params.yaml not found: run this from the project's top folder"),
        ("a: [1,", "params.yaml is not valid YAML: "),
        ("a: 1\na: 2\n", '(?s)params.yaml is not valid YAML: .*duplicate key "a"'),
        ("", "params.yaml must hold `key: value` lines"),
        ("- a\n", "params.yaml must hold `key: value` lines"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "params.yaml" if text is None else write(tmp_path, text)
    with pytest.raises(ParamsError, match=message):
        read_params(path)


def test_a_section_is_found_by_its_keys(tmp_path: Path) -> None:
    path = write(tmp_path, "kitchen:\n  oven: {heat: 2e2, size: [1, 2]}\n")
    assert read_section(Oven, "kitchen", "oven", path=path) == Oven(heat=200, size=(1, 2))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (("kitchen", "oven"), r"params\.yaml: kitchen\.oven is missing"),
        (("bath", "tub"), r"params\.yaml: bath is missing"),
        (("kitchen", "sink", "drain"), r"params\.yaml: kitchen\.sink\.drain is missing"),
        (("kitchen", "sink"), r"params\.yaml: kitchen\.sink: Input should be a valid dictionary .*\(got None\)"),
    ],
)
def test_a_section_that_is_not_there(tmp_path: Path, keys: tuple[str, ...], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        read_section(Oven, *keys, path=write(tmp_path, "kitchen:\n  sink:\n"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"heat": "hot"}, "params.yaml: oven.heat: Input should be a valid number, unable to parse string"),
        ({"size": [1, 2.5]}, "params.yaml: oven.size.1: Input should be a valid integer, got a number with a"),
        ({"racks": {"upper": "x"}}, "params.yaml: oven.racks.upper: Input should be a valid integer, unable to"),
        ({"haet": 1}, "params.yaml: oven.haet: Extra inputs are not permitted (got 1)"),
    ],
)
def test_a_wrong_value_is_named_by_its_dotted_key(change: dict, line: str) -> None:
    with pytest.raises(ParamsError) as caught:
        validate(Oven, {"heat": 1, "size": [1, 2]} | change, where="oven")
    assert str(caught.value).startswith(line)
    assert len(str(caught.value).splitlines()) == 1


def test_every_wrong_key_has_its_line() -> None:
    with pytest.raises(ParamsError) as caught:
        validate(Oven, {"size": "x" * 100, "colour": "red"})
    assert str(caught.value).splitlines() == [
        "params.yaml: heat: Field required",
        "params.yaml: size: Input should be a valid tuple",
        "params.yaml: colour: Extra inputs are not permitted (got 'red')",
    ]


def test_values_do_not_change_after_validation() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Oven(heat=1, size=(1, 2)).heat = 2
