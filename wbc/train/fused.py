"""What Keras computes in many passes over the weights, in single operations of TensorFlow: the same formulas."""

from collections.abc import Callable

import keras
import tensorflow as tf


class FusedAdam(keras.optimizers.Adam):
    """keras.optimizers.Adam whose step is a single operation; its settings, variables and formula are the same."""

    def update_step(
        self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Move ``variable`` by one step; for sparse gradients and AMSGrad there is no such operation."""
        if self.amsgrad or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        dtype, index = variable.dtype, self._get_variable_index(variable)
        number = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), number),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), number),
            lr=tf.cast(learning_rate, dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,  # added to the root of the velocity, as Keras does
            grad=tf.cast(gradient, dtype),
        )


def fuse_penalties(model: keras.Model) -> None:
    """Let the L2 penalty of each weight of ``model`` be a single operation, and none at all where its factor is 0.

    Only the weights know of it: the layers' configurations, and with them a saved model, keep Keras' own.
    """
    for weight in model.weights:
        if type(weight.regularizer) is keras.regularizers.L2:
            weight.regularizer = _l2_penalty(weight.regularizer.l2) if weight.regularizer.l2 else None


def _l2_penalty(factor: float) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda weight: 2 * factor * tf.nn.l2_loss(weight)  # l2_loss is half of the summed squares
