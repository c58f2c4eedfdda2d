"""Where the seconds of the train stage go, and how many more they are than the same steps in a bare loop take.

The stages before it must have run. The stage works in a folder of its own, on links to the data: nothing is replaced.
"""

import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from ruamel.yaml import YAML

from benchmarks.measure import measure, print_machine, print_table
from benchmarks.recorder import between, epochs_of, recorded

INPUTS = ("data", "models/pretrained")


def main(
    workspace: Annotated[Path, typer.Option(help="a project folder whose data stages have run")] = Path(),
    epochs: Annotated[int | None, typer.Option(help="of training; else as in params.yaml", min=2)] = None,
    bare_epochs: Annotated[int, typer.Option(help="of the bare loop; the first is not counted", min=2)] = 3,
) -> None:
    """Print the parts of the train stage and the share of it that is not training steps."""
    print_machine("tensorflow", "keras", "numpy")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_workspace(workspace, folder, epochs=epochs)
        stage = measure(run_stage, folder=folder)
        bare = measure(time_bare_step, folder=folder, epochs=bare_epochs)
    report(parts=stage.result, bare_step=bare.result)


def copy_workspace(workspace: Path, folder: Path, *, epochs: int | None) -> None:
    """Link to the data of ``workspace`` and copy its params.yaml, with ``epochs`` for the chosen model if given."""
    for path in INPUTS:
        if not (workspace / path).exists():
            raise FileNotFoundError(f"{workspace / path} not found: run `dvc repro weights augment` first")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to((workspace / path).resolve())
    yaml = YAML()
    params = yaml.load(workspace / "params.yaml")
    if epochs:
        params["models"][params["model"]]["epochs"] = epochs
    yaml.dump(params, folder / "params.yaml")


def run_stage(folder: Path) -> dict[str, float]:
    """Run the stage in this process, which has imported nothing large yet, and return the seconds of its parts."""
    os.environ["DVC_ROOT"] = str(folder)
    os.chdir(folder)
    started = time.perf_counter()
    import keras

    import stages.train
    import wbc.train.phases
    import wbc.train.training

    imported = time.perf_counter()
    watched = {
        "steps": (keras.Model, "train_on_batch"),
        "validation": (keras.Model, "test_on_batch"),
        "building the model": (wbc.train.training, "build_model"),
        "checkpoints": (wbc.train.phases, "save_checkpoint"),
        "saving the model": (stages.train, "save_model"),
    }
    with ExitStack() as watching:
        spans = {part: watching.enter_context(recorded(*place)) for part, place in watched.items()}
        stages.train.main()
    ended = time.perf_counter()
    epochs = epochs_of(spans["steps"], epochs=len(Path("metrics/history.csv").read_text().splitlines()) - 1)
    parts = {part: sum(span.seconds for span in spans[part]) for part in watched}
    usual = median(span.seconds for span in spans["steps"])
    parts["steps"] -= (first := spans["steps"][0].seconds - usual)
    parts["imports"] = imported - started
    parts["tracing the first step"] = first
    parts["input between steps"] = sum(sum(between(epoch)) for epoch in epochs)
    parts["the rest"] = ended - started - sum(parts.values())
    return {"stage": ended - started, "number of steps": len(spans["steps"]), **parts}


def time_bare_step(folder: Path, *, epochs: int) -> float:
    """Return the seconds of one step of a bare loop on arrays in memory: the median over epochs but the first."""
    os.chdir(folder)
    import stages.train
    from benchmarks.plain import compile_model, one_hot
    from wbc.base.params import read_number, read_params, read_section
    from wbc.inference.determinism import make_deterministic
    from wbc.models.params import read_model
    from wbc.models.registry import build_model
    from wbc.train.params import TrainParams

    make_deterministic(seed=read_number("seed"), threads=read_number("threads"))
    name = read_params()["model"]
    model_params = read_model(name)
    training, _, classes = stages.train.read_examples()
    images, targets = training.images[:], one_hot(training.labels, classes=len(classes))
    model = build_model(
        name,
        image_shape=images.shape[1:],
        classes=len(classes),
        params=model_params,
        pretrained=next((path for path in stages.train.PRETRAINED.iterdir() if path.suffix != ".json"), None),
    )
    compile_model(model, model_params=model_params, train_params=read_section(TrainParams, "train"))
    size = model_params.batch_size
    starts = range(0, len(targets), size)
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        for start in starts:
            model.train_on_batch(images[start : start + size], targets[start : start + size])
        seconds.append((time.perf_counter() - started) / len(starts))
    return median(seconds[1:])


def report(*, parts: dict[str, float], bare_step: float) -> None:
    """Print each part of the stage as a share of it, then what is not steps, by its own clock and by the bare loop."""
    stage, count = parts.pop("stage"), int(parts.pop("number of steps"))
    rows = [[part, f"{seconds:.1f}", f"{seconds / stage:.1%}"] for part, seconds in parts.items()]
    print_table(header=["", "seconds", "of the stage"], rows=[*rows, ["the stage", f"{stage:.1f}", "100.0%"]])
    validation = parts["validation"]
    for name, steps in {"its own steps": parts["steps"], f"{count} bare steps": count * bare_step}.items():
        outside = stage - steps
        print(
            f"against {name}, {steps:.1f} s: {(outside - validation) / stage:.1%} of the stage is overhead, "
            f"{outside / stage:.1%} with validation"
        )


if __name__ == "__main__":
    typer.run(main)
