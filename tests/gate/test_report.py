import pytest

from wbc.gate.gate import Check
from wbc.gate.report import print_checks, render_checks, summarise

CHECKS = [
    Check("expected_calibration_error", "passed", measured=0.05, low=0.041, high=0.126, at_most=0.15),
    Check("MONOCYTE.sensitivity", "failed", at_least=0.7),
    Check("split", "passed"),
    Check("leaks", "skipped", note="there is nothing to see"),
    Check("champion", "failed", -0.0625, -0.125, -0.02, at_least=-0.05, note="worse than main"),
]


def test_the_table_fits_a_console_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_checks(CHECKS)
    assert capsys.readouterr().out.splitlines() == [
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━━━┓",
        "┃ rule                       ┃ measured (95 % interval)   ┃ required ┃ outcome ┃",
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━━━┩",
        "│ expected_calibration_error │ 0.0500 (0.041 to 0.126)    │ ≤ 0.15   │ passed  │",
        "│ MONOCYTE.sensitivity       │ absent                     │ ≥ 0.7    │ failed  │",
        "│ split                      │                            │          │ passed  │",
        "│ leaks                      │                            │          │ skipped │",
        "│ champion                   │ -0.0625 (-0.125 to -0.020) │ ≥ -0.05  │ failed  │",
        "└────────────────────────────┴────────────────────────────┴──────────┴─────────┘",
        "leaks: there is nothing to see",
        "champion: worse than main",
        "the gate is shut: 2 of 5 checks failed, 1 skipped",
    ]


def test_the_same_in_markdown() -> None:
    assert render_checks(CHECKS).splitlines() == [
        "### the gate is shut: 2 of 5 checks failed, 1 skipped",
        "",
        "| rule | measured (95 % interval) | required | outcome |",
        "| --- | --- | --- | --- |",
        "| expected_calibration_error | 0.0500 (0.041 to 0.126) | ≤ 0.15 | passed |",
        "| MONOCYTE.sensitivity | absent | ≥ 0.7 | failed |",
        "| split |  |  | passed |",
        "| leaks |  |  | skipped |",
        "| champion | -0.0625 (-0.125 to -0.020) | ≥ -0.05 | failed |",
        "",
        "- leaks: there is nothing to see",
        "",
        "- champion: worse than main",
    ]


def test_an_open_gate_says_how_many_checks_it_took() -> None:
    assert summarise(CHECKS[2:3]) == "the gate is open: 1 checks passed"
    assert summarise(CHECKS[2:4]) == "the gate is open: 1 checks passed, 1 skipped"
