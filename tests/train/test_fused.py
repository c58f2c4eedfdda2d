from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from wbc.train.fused import FusedAdam, fuse_penalties


def gradients(steps: int) -> list[np.ndarray]:
    """Return gradients (7, 5) from 1e-9 to 1, so that epsilon, 1e-7, matters to some weights."""
    draws = np.random.default_rng(0)
    return [(draws.normal(size=(7, 5)) * np.logspace(-9, 0, 35).reshape(7, 5)).astype(np.float32) for _ in range(steps)]


def states(optimizer: keras.optimizers.Optimizer, steps: list[Any]) -> list[np.ndarray]:
    """Return the weights after ``steps`` at two learning rates, and all that the optimizer keeps."""
    weights = keras.Variable(np.linspace(-1, 1, 35, dtype=np.float32).reshape(7, 5), name="weights")
    optimizer.build([weights])
    apply = tf.function(lambda gradient: optimizer.apply([gradient], [weights]))
    for number, gradient in enumerate(steps):
        optimizer.learning_rate = 0.01 if number < 6 else 0.001
        apply(gradient)
    return [np.asarray(variable) for variable in [weights, *optimizer.variables]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"epsilon": 1e-3},
        {"gradient_accumulation_steps": 3},
        {"use_ema": True, "ema_momentum": 0.9},
        {"amsgrad": True},
    ],
)
def test_a_fused_step_does_what_keras_adam_does(options: dict[str, Any]) -> None:
    steps = [tf.constant(gradient) for gradient in gradients(12)]
    fused, keras_own = (states(kind(**options), steps) for kind in (FusedAdam, keras.optimizers.Adam))
    for left, right in zip(fused, keras_own, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_weight_decay_makes_it_adamw() -> None:
    steps = [tf.constant(gradient) for gradient in gradients(12)]
    for left, right in zip(
        states(FusedAdam(weight_decay=0.004), steps), states(keras.optimizers.AdamW(), steps), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_sparse_gradients_step_as_well() -> None:
    steps = [tf.IndexedSlices(gradient[:2], tf.constant([1, 4]), tf.constant([7, 5])) for gradient in gradients(4)]
    for left, right in zip(states(FusedAdam(), steps), states(keras.optimizers.Adam(), steps), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_fused_step_is_one_operation() -> None:
    weights = keras.Variable(np.zeros((7, 5), np.float32))
    optimizer = FusedAdam()
    optimizer.build([weights])
    graph = tf.function(lambda: optimizer.apply([tf.ones((7, 5))], [weights])).get_concrete_function().graph
    operations = [one.type for one in graph.get_operations()]
    assert operations.count("ResourceApplyAdam") == 1
    assert not {"Sqrt", "AssignSubVariableOp"} & set(operations)


def penalised(factor: float) -> keras.Model:
    image = keras.Input((6,))
    penalty = keras.regularizers.L2(factor)
    hidden = keras.layers.Dense(5, kernel_regularizer=penalty, bias_regularizer=keras.regularizers.L1(0.1))(image)
    return keras.Model(image, keras.layers.Dense(2, kernel_regularizer=penalty)(hidden))


def penalty_and_gradients(model: keras.Model) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        penalty = tf.add_n(model.losses)
    kernels = [layer.kernel.value for layer in model.layers[1:]]
    return [penalty.numpy(), *(gradient.numpy() for gradient in tape.gradient(penalty, kernels))]


def test_fused_penalties_are_those_of_keras_and_leave_no_trace_in_the_configuration() -> None:
    model = penalised(0.3)
    expected, config = penalty_and_gradients(model), model.get_config()
    fuse_penalties(model)
    for left, right in zip(penalty_and_gradients(model), expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5)
    assert model.get_config() == config


def test_a_penalty_of_factor_0_is_not_computed() -> None:
    model = penalised(0.0)
    assert len(model.losses) == 3
    fuse_penalties(model)
    assert len(model.losses) == 1
