"""What every family's network does.

B rows of a batch, S items that a window predicts. An item is a sample, a code or a step of a roll.

The state of a network is a nested structure of tensors of any dtypes, each [..., B]: the rows come last. It is an
argument and a result; no network keeps one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from samplernn.models.averages import Averages
from samplernn.models.config import Config, GenerationConfig

CLIP_NORM = 5.0

Sums = Mapping[str, Any]  # over targets, by their names: tensors of any shapes, or arrays


def clip_elements(gradients: list[tf.Tensor], limit: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Each element to ± a limit, and the gradients' global norm before.

    Those of no finite norm stay, so that scaling of the loss sees that it overflows.
    """
    norm = tf.linalg.global_norm(gradients)
    finite = tf.math.is_finite(norm)
    return [tf.where(finite, tf.clip_by_value(part, -limit, limit), part) for part in gradients], norm


class Outcome(NamedTuple):
    """What a network makes of a window.

    Attributes:
        loss: what is to be minimised, a mean over the targets of a replica's rows; in the batch's, each replica counts
            by its number of targets, which may be none.
        sums: over the targets, as `sum_shapes` has them.
        state: for the next window.
        updates: what no gradient moves: to be summed over the replicas and handed to `apply_updates`.
        watched: tensors whose gradients `clip` is given.
    """

    loss: tf.Tensor
    sums: dict[str, tf.Tensor]
    state: Any
    updates: Any = ()
    watched: Any = ()


class Model(keras.Model, ABC):
    """A network that predicts the items of a sequence from those before.

    Its weights are float32 and so are its logits, in every precision. Its initial weights and its dropout follow
    Keras's global seed (`keras.utils.set_random_seed`).

    Attributes:
        config: what it was made by.
        dropout_seed: from which all its dropout is drawn.
        averages: of its weights, if a training keeps any.
        exchanges: whether replicas exchange anything inside `forward`.
        has_cudnn_kernels: whether on a GPU a window is computed by kernels that XLA cannot compile.
        adam_epsilon: what adam adds to the roots of its second moments.
    """

    has_cudnn_kernels = False
    exchanges = False
    adam_epsilon = 1e-8

    def __init__(self, config: Config, precision: str = "float32", **kwargs):
        """`precision` is a Keras dtype policy: float32, mixed_bfloat16 or mixed_float16."""
        super().__init__(dtype=precision, **kwargs)
        self.config = config
        self.dropout_seed = keras.random.SeedGenerator()
        self.averages: Averages | None = None

    # --- A window ---

    @abstractmethod
    def initial_state(self, rows: int) -> Any:
        """The state before a recording's first item."""

    @abstractmethod
    def forward(self, x: tf.Tensor, y: tf.Tensor, state: Any, training: bool) -> Outcome:
        """Predict every item of a window from the true ones before it (teacher forcing).

        Args:
            x: [B, left + S + right, ...], items with their context.
            y: [B, S, ...], the targets, NO_TARGET where there is none.
            state: from `initial_state`, or of the window before.
            training: whether there is dropout.
        """

    @property
    def sum_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of an outcome's sums; `nll`, in nats, and `targets`, their number, are among them."""
        return {"nll": (), "correct": (), "targets": ()}

    def measures(self, sums: Sums) -> dict[str, float | int]:
        """What is told of sums: `loss` in nats and `accuracy`, and whatever else a family measures.

        Args:
            sums: of any number of windows, added up.
        """
        return {
            "loss": float(np.float64(sums["nll"]) / sums["targets"]),
            "accuracy": float(np.float64(sums["correct"]) / sums["targets"]),
        }

    # --- Learning ---

    def clip(self, gradients: list[tf.Tensor], at_watched: Any, scale: Any) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Limit the gradients of a step; each replica calls it.

        Args:
            gradients: of `trainable_variables`, summed over the replicas, times `scale`.
            at_watched: those of the outcome's `watched`, of this replica, times `scale`.
            scale: the factor of the loss.

        Returns:
            The gradients, and their global norm before, both times `scale`.
        """
        return tf.clip_by_global_norm(gradients, CLIP_NORM * scale)

    def looked_up(self, x: tf.Tensor) -> list[tuple[keras.Variable, tf.Tensor]]:
        """Variables of which a window looks single rows up, and which, bool [rows]: sgd and rmsprop move no others."""
        return []

    def rate_factor(self, variable: keras.Variable) -> float:
        """By what the learning rate is multiplied for a variable."""
        return 1.0

    def apply_updates(self, updates: Any) -> None:
        """Move what no gradient moves, once a step, after the optimizer; each replica calls it.

        Args:
            updates: of the outcome, summed over the replicas.
        """

    # --- Averages ---

    def average_weights(self, decay: float) -> None:
        """Keep averages of the weights from now on; to be called in the scope of the model's strategy."""
        weights = {self.checkpoint_key(variable): variable for variable in self.trainable_variables}
        self.averages = Averages(weights, decay)

    def averaged(self) -> AbstractContextManager[None]:
        """A context in which the model computes with the averages of its weights, if it has any."""
        return self.averages.in_place() if self.averages else nullcontext()

    # --- Checkpoints ---

    def checkpoint_key(self, variable: keras.Variable) -> str:
        """The name of a weight in checkpoints."""
        return variable.path.split("/", 1)[1]

    def random_state(self) -> dict[str, keras.Variable]:
        """What the network's random numbers follow from, by its names in checkpoints."""
        return {"random/dropout": self.dropout_seed.state}


class Generative(ABC):
    """What generates items, block by block: a network, or several together.

    Attributes:
        config: what is asked of it.
        has_cudnn_kernels: as of `Model`.
    """

    config: GenerationConfig
    has_cudnn_kernels: bool

    @property
    @abstractmethod
    def networks(self) -> tuple[AutoregressiveModel, ...]:
        """Those that have the weights."""

    @abstractmethod
    def initial_state(self, rows: int) -> Any:
        """The state before a recording's first item."""

    @abstractmethod
    def read(self, items: tf.Tensor, state: Any, conditioning: tf.Tensor | None = None) -> Any:
        """The state after items that are given, as `forward` returns it, without predicting them.

        Args:
            items: [B, left + n, ...], where n is a multiple of the config's seed_multiple.
            state: from `initial_state`, or after what was read or generated before.
            conditioning: as for `generate_block`, of the n items.
        """

    def step_weights(self) -> Any:
        """What generation derives from the weights, to be computed once for many items."""
        return ()

    def conditioning_at(self, seconds: np.ndarray) -> np.ndarray | None:
        """The conditioning of items [n] at moments of what is generated, where it follows from these: [n, ...]."""
        return None

    # --- Item by item ---

    def begin_steps(self, state: Any) -> Any:
        """What `step` hands on from item to item, from the state before the first of them."""
        return state

    @abstractmethod
    def step(self, before, handed_on, position, weights=None, conditioning=None) -> tuple[tf.Tensor, Any]:
        """Predict an item from those before it.

        Args:
            before: [B, left, ...].
            handed_on: from `begin_steps`, or of the item before.
            position: how many items there were since `begin_steps`, int scalar.
            weights: from `step_weights`.
            conditioning: what else the item depends on, [B, 1, ...].

        Returns:
            Its logits [B, ..., Q], and what is handed on.
        """

    def end_steps(self, handed_on: Any) -> Any:
        """The state after steps, of which there were a multiple of the config's seed_multiple."""
        return handed_on

    # --- Block by block ---

    def generate_block(self, context, state, draw, weights=None, conditioning=None) -> tuple[tf.Tensor, Any]:
        """Generate the next block, one item after the other.

        Args:
            context: [B, left, ...], the items before.
            state: from `initial_state`, or of the block before.
            draw: function of logits [B, ..., Q] and the position in the block, int scalar, that returns items [B, ...].
            weights: from `step_weights`.
            conditioning: what else the block depends on, [B, N, ...], each for block_length / N items.

        Returns:
            The items [B, block_length, ...], and the next state.
        """
        weights, length = weights or self.step_weights(), self.config.block_length

        def generate_item(position, before, handed_on, items):
            given = None
            if conditioning is not None:
                given = conditioning[:, position // (length // conditioning.shape[1])][:, None]
            logits, handed_on = self.step(before, handed_on, position, weights, given)
            item = draw(logits, position)
            before = tf.concat([before[:, 1:], item[:, None]], axis=1)
            return position + 1, before, handed_on, items.write(position, item)

        items = tf.TensorArray(context.dtype, length, element_shape=context[:, 0].shape)
        *_, handed_on, items = tf.while_loop(
            lambda position, *_: position < length, generate_item, (0, context, self.begin_steps(state), items)
        )
        items = items.stack()  # [L, B, ...]
        return tf.transpose(items, [1, 0, *range(2, items.shape.rank)]), self.end_steps(handed_on)


class AutoregressiveModel(Model, Generative):
    """A network that also generates."""

    config: Config

    @property
    def networks(self) -> tuple[AutoregressiveModel, ...]:
        return (self,)


class Autoencoder(AutoregressiveModel):
    """One whose generation follows codes, which it also makes of items; its config has `codes`.

    `read` and `generate_block` need a conditioning, of which there is an entry for each code.
    """

    @abstractmethod
    def encode(self, items: tf.Tensor) -> tf.Tensor:
        """The codes of items, whatever else is in the batch.

        Args:
            items: [B, context + n · hop + context], NO_ITEM outside a recording.

        Returns:
            int32 [B, n], NO_ITEM where items of the hop are outside.
        """

    @abstractmethod
    def condition(self, codes: tf.Tensor) -> tf.Tensor:
        """The conditioning of items by their codes.

        Args:
            codes: int32 [B, reach + n + reach], NO_ITEM where there are none.

        Returns:
            float32 [B, n, ...].
        """
