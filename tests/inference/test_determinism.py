"""A training has the bytes of every x86 processor with AVX2; each runs in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wbc.base.start import SAME_ON_EVERY_PROCESSOR

EXACT = """
import numpy as np, keras, tensorflow as tf
from wbc.inference.determinism import make_deterministic
make_deterministic(seed=1, threads=2)
variance = np.random.default_rng(0).uniform(0.01, 100, 4096).astype(np.float32)
images = np.ones((1, 2, 2, 4096), np.float32)
layer = keras.layers.BatchNormalization()
layer.build(images.shape)
layer.set_weights([variance, np.zeros(4096), np.zeros(4096), variance])
model = keras.Sequential([keras.Input(images.shape[1:]), layer])
total = variance + np.float32(layer.epsilon)
expected = np.broadcast_to(np.sqrt(total) / total * variance, images.shape)
print(np.array_equal(model.predict_on_batch(images), expected), np.array_equal(model(images), expected))
# RMSprop's x / sqrt(y), which the rewriting of graphs must leave alone
divide = tf.function(lambda x, y: x / tf.sqrt(y))
print(np.array_equal(divide(total, tf.constant(variance)), total / np.sqrt(variance)))
"""

JUDGED = """
import numpy as np, pandas as pd
from threadpoolctl import threadpool_limits
from wbc.suspects.suspects import out_of_fold_probabilities
classes = np.arange(340) % 4
features = (np.random.default_rng(0).normal(size=(340, 1280)) + 0.2 * classes[:, None]).astype(np.float32)
labels, groups = pd.Series(np.array(list("ABCD"))[classes]), pd.Series([f"i{row}" for row in range(340)])
found = []
for threads in (1, 2):
    with threadpool_limits(threads):
        found.append(out_of_fold_probabilities(features, labels=labels, groups=groups, seed=1).to_numpy())
print(np.array_equal(*found))
"""

TRAINING = """
import hashlib, sys
from pathlib import Path
from wbc.inference.determinism import make_deterministic
make_deterministic(seed=3, threads=2)
import numpy as np
from wbc.base.params import read_section
from wbc.models.params import read_model
from wbc.train.params import TrainParams
from wbc.train.training import train
from wbc.train.state import Examples
def examples(count, seed):
    labels = np.arange(count) % 2
    noise = np.random.default_rng(seed).integers(0, 60, size=(count, 32, 32, 3))
    return Examples((noise + 150 * labels[:, None, None, None]).astype(np.uint8), np.arange(count), labels)
name = sys.argv[1]
params = read_model(name).model_copy(update={"input": (64, 64), "epochs": 2, "batch_size": 8})
trained = train(
    examples(16, 1), examples(8, 2), classes=2, model_name=name, model_params=params,
    train_params=read_section(TrainParams, "train"), pretrained=None, checkpoint=Path(sys.argv[2]) / "state.npz",
    tensorboard=None, seed=3,
)
weights = b"".join(weight.tobytes() for weight in trained.model.get_weights())
print(hashlib.md5(weights + trained.model.predict_on_batch(examples(8, 2).images).tobytes()).hexdigest())
"""

# Of tensorflow 2.21.0. Where the numerical libraries or the loop change, take the new ones, from any x86 processor.
FINGERPRINTS = {
    "efficientnet_lite0": "cf3d874782f4419f3b6ddf5ee0e60521",
    "compact_cnn": "ee675c762b26501d7bbfe117eb160259",
}


def run(script: str, *arguments: str) -> list[str]:
    """Return the words that ``script`` prints in a process of its own, with the settings that the project makes."""
    environment = {name: value for name, value in os.environ.items() if name not in SAME_ON_EVERY_PROCESSOR}
    done = subprocess.run(
        [sys.executable, "-c", f"import wbc\n{script}", *arguments],
        cwd=Path(__file__).parents[2],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_roots_are_rounded_as_ieee_754_says_and_not_as_a_processor_likes() -> None:
    assert run(EXACT) == ["True", "True", "True"]


def test_labels_are_judged_alike_by_any_number_of_threads() -> None:
    assert run(JUDGED) == ["True"]


@pytest.mark.parametrize("model", FINGERPRINTS)
def test_a_small_training_has_the_bytes_of_every_x86_processor(model: str, tmp_path: Path) -> None:
    if not os.environ.get("ONEDNN_MAX_CPU_ISA"):  # set by the import of wbc
        pytest.skip("no x86 processor with AVX2")
    assert run(TRAINING, model, str(tmp_path)) == [FINGERPRINTS[model]]
