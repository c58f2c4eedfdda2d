"""Makes TensorFlow compute the same bytes on every run, and on every x86 processor that has AVX2."""

import keras
import tensorflow as tf


def make_deterministic(*, seed: int, threads: int) -> None:
    """Seed every generator, ask for deterministic operations and fix the threads; call it before anything is computed.

    Sums depend on the number of ``threads`` that share one operation, by default one for each core. Operations run
    one after the other: side by side, moving averages of batch normalisation came out different in 5 of 5 trials.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    _compute_roots_exactly()


def _compute_roots_exactly() -> None:
    """Let 1 / sqrt(x) be a square root and a division, whose last bit IEEE 754 fixes, wherever Keras asks for it.

    TensorFlow's own kernel starts from the instruction rsqrtps, an approximation that each maker of processors has a
    table of his own for.
    """
    tf.math.rsqrt = _reciprocal_root
    tf.nn.batch_normalization = _batch_normalization
    # This rewriting of graphs would turn x / sqrt(y), as RMSprop has it, into x * rsqrt(y).
    tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})


def _reciprocal_root(x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    return tf.divide(tf.sqrt(x), x, name=name)  # 1 / sqrt(x) would be rewritten: 1 / y is an approximation as well


def _batch_normalization(
    x: tf.Tensor,
    mean: tf.Tensor,
    variance: tf.Tensor,
    offset: tf.Tensor | None,
    scale: tf.Tensor | None,
    variance_epsilon: float,
    name: str | None = None,
) -> tf.Tensor:
    """Do what tf.nn.batch_normalization does, in the same order."""
    factor = _reciprocal_root(variance + variance_epsilon)
    if scale is not None:
        factor *= scale
    shift = -mean * factor if offset is None else offset - mean * factor
    return tf.add(x * tf.cast(factor, x.dtype), tf.cast(shift, x.dtype), name=name)
