"""Each benchmark runs at a tiny size and prints its table; what it measures there means nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.copies import change, judge
from benchmarks.measure import measure, measure_tree
from benchmarks.recorder import Span, between, epochs_of, recorded
from wbc.base.files import write_json

PROJECT = Path(__file__).parents[2]


class Doubler:
    def double(self, number: int) -> int:
        return 2 * number


def run(module: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{module}", *options]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, cwd=PROJECT, env=environment, check=True, capture_output=True, text=True).stdout


def test_a_measurement_counts_the_memory_of_the_function_alone() -> None:
    small, large = measure(np.ones, shape=8), measure(np.ones, shape=100 * 2**17)
    assert large.result.nbytes == 100 * 2**20
    assert small.grown < 50 <= large.grown


def test_a_measurement_of_all_processes_counts_their_memory_and_time() -> None:
    small, large = measure_tree(np.ones, shape=8), measure_tree(np.ones, shape=100 * 2**17)
    assert 100 <= large.own - small.own < 150
    assert large.own <= large.mapped
    assert 0 < large.processor_seconds < 2 * large.seconds + 0.5


def test_a_copy_has_black_corners_and_stretched_colours() -> None:
    image = np.random.default_rng(1).integers(60, 200, size=(240, 320, 3), dtype=np.uint8)
    copies = [change(image, draws=np.random.default_rng(number)) for number in range(2)]
    assert [copy.shape for copy in copies] == [(240, 320, 3)] * 2
    assert not np.array_equal(*copies)
    assert min(copy.max() for copy in copies) > 210
    assert 0.02 < (copies[0] == 0).all(axis=2).mean() < 0.5


def test_groups_are_judged_by_pairs_of_copies(capsys: pytest.CaptureFixture[str]) -> None:
    judge(groups=pd.Series(list("aabbbb")), fields=pd.Series(list("xxxyyy")))
    output = capsys.readouterr().out
    assert "2 fields, 2 groups, 1 of them join fields" in output
    assert "precision 0.5714, recall 0.6667" in output


def test_calls_are_noted_and_the_function_is_put_back() -> None:
    with recorded(Doubler, "double") as spans:
        assert [Doubler().double(2), Doubler().double(3)] == [4, 6]
    assert len(spans) == 2
    assert spans[0].start <= spans[0].end <= spans[1].start
    Doubler().double(4)
    assert len(spans) == 2


def test_steps_are_counted_by_epoch() -> None:
    steps = [Span(0, 1), Span(3, 4), Span(10, 11), Span(12, 13)]
    assert epochs_of(steps, epochs=2) == [steps[:2], steps[2:]]
    assert between(steps[:2]) == [2]
    with pytest.raises(ValueError, match="4 calls of train_on_batch in 3 epochs"):
        epochs_of(steps, epochs=3)


@pytest.mark.slow
def test_smote_writes_the_same_bytes_as_imbalanced_learn() -> None:
    output = run("smote", "--images", "12,9,8,7", "--target", "15", "--side", "32")
    assert "images written: the same bytes" in output


@pytest.mark.slow
def test_copies_are_cleaned_and_judged() -> None:
    output = run("copies", "--images", "24", "--photographs", "4")
    assert "4 fields, 4 groups, 0 of them join fields" in output
    assert "precision 1.0000, recall 1.0000" in output


@pytest.mark.slow
def test_few_and_more_smears_are_compared() -> None:
    output = run("scale", "--images", "20", "--images", "40")
    assert "recall 1.000, precision 1.000" in output
    assert "20 images with one worker" in output
    assert "the same bytes" in output


@pytest.mark.slow
def test_the_coverage_of_intervals_is_counted() -> None:
    options = (
        "--kind",
        "constant",
        "--metric",
        "balanced_accuracy",
        "--trials",
        "2",
        "--resamples",
        "40",
        "--seeds",
        "3",
    )
    output = run("coverage", *options)
    assert "| constant | balanced_accuracy | 0.250 |" in output
    assert "t over seeds" in output


@pytest.mark.slow
def test_the_training_loop_is_compared() -> None:
    output = run("training_loop", "--model", "compact_cnn", "--images", "32", "--epochs", "2", "--side", "40")
    assert "of the bare loop" in output


@pytest.mark.slow
def test_the_frozen_backbone_is_compared() -> None:
    output = run(
        "frozen",
        "--model",
        "vgg16",
        "--images",
        "8",
        "--validation",
        "4",
        "--epochs",
        "3",
        "--fit-epochs",
        "2",
        "--side",
        "32",
    )
    assert "fit from memory ran 2 of 3 epochs" in output


@pytest.mark.slow
def test_the_train_stage_is_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    images = np.random.default_rng(1).integers(256, size=(32, 40, 40, 3), dtype=np.uint8)
    np.save(tmp_path / "data" / "cells.npy", images)
    np.save(tmp_path / "data" / "train.npy", images)
    labels = ["A", "B"] * 16
    split = [f"{n},{label},{n},{'train' if n < 24 else 'validation'}" for n, label in enumerate(labels)]
    (tmp_path / "data" / "split.csv").write_text("\n".join(["id,label,group,split", *split]) + "\n")
    table = [f"{label},original,{n},,0" for n, label in enumerate(labels)]
    (tmp_path / "data" / "train.csv").write_text("\n".join(["label,kind,id,partner,copy", *table]) + "\n")
    write_json(
        tmp_path / "models" / "pretrained" / "weights.json", {"weights_requested": "random", "weights_used": "random"}
    )
    shutil.copyfile(PROJECT / "params.yaml", tmp_path / "params.yaml")
    text = (tmp_path / "params.yaml").read_text().replace("\nmodel: efficientnet_lite0", "\nmodel: compact_cnn")
    (tmp_path / "params.yaml").write_text(text)
    output = run("train_stage", "--workspace", str(tmp_path), "--epochs", "2", "--bare-epochs", "2")
    assert "input between steps" in output
    assert "against 4 bare steps" in output
    assert not (tmp_path / "models" / "model.keras").exists()
