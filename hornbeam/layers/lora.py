"""Low-rank adaptation: a frozen weight plus a trained product of two thin matrices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from hornbeam.core.variable import Variable
from hornbeam.layers.arguments import positive_integer
from hornbeam.layers.layer import Layer

__all__ = ["Adaptable"]


class Adaptable(Layer):
    """A layer one of whose weights can be trained by low-rank adaptation (Hu et al. 2021).

    A subclass names the weight in `_adapted`, keeps `lora_rank` and `lora_alpha`, calls `_start_lora` at the
    end of `build` and reads the weight by `_adapted_value()`.
    """

    _adapted = "kernel"
    lora_rank: int | None
    lora_alpha: float | None
    lora_enabled = False

    def enable_lora(
        self,
        rank: int,
        lora_alpha: float | None = None,
        a_initializer: Any = "he_uniform",
        b_initializer: Any = "zeros",
    ) -> None:
        """Freeze the weight W and train A and B in its place: the layer uses `W + (lora_alpha / rank) * A @ B`.

        Args:
            rank: Columns of A and rows of B.
            lora_alpha: Factor. Default: `rank`.
            a_initializer, b_initializer: Initializers of A and B.

        Raises:
            ValueError: If the layer is not built, adapted already, or its weight has a constraint.

        Example:
            >>> from hornbeam.layers import Dense
            >>> layer = Dense(3)
            >>> layer.build((None, 8))
            >>> layer.enable_lora(2)
            >>> [(w.name, w.shape) for w in layer.trainable_weights]
            [('bias', (3,)), ('lora_kernel_a', (8, 2)), ('lora_kernel_b', (2, 3))]
        """
        weight = self._adapted
        if self.lora_enabled:
            raise ValueError(f"{self._label()}: low-rank adaptation is on already.")
        if not self.built and weight not in self.__dict__:
            raise ValueError(f"{self._label()}: build the layer, or call it on data, before `enable_lora`.")
        if getattr(self, f"{weight}_constraint") is not None:
            raise ValueError(
                f"{self._label()}: a weight with a constraint cannot be adapted. Leave `{weight}_constraint` out."
            )
        self.lora_rank = positive_integer(type(self).__name__, "rank", rank)
        self.lora_alpha = lora_alpha if lora_alpha is not None else rank
        shape = self._adapted_shape()
        self.lora_a = self.add_weight(name=f"lora_{weight}_a", shape=(*shape[:-1], rank), initializer=a_initializer)
        self.lora_b = self.add_weight(name=f"lora_{weight}_b", shape=(rank, shape[-1]), initializer=b_initializer)
        getattr(self, weight).trainable = False
        self.lora_enabled = True

    def _start_lora(self) -> None:
        """Adapt at the end of `build` where the constructor was given a rank."""
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    def _adapted_value(self) -> Any:
        """Return the weight with what adaptation adds."""
        return self._frozen_value() + self._lora_delta() if self.lora_enabled else self._frozen_value()

    def _lora_delta(self) -> Any:
        """Return what adaptation adds to the weight."""
        assert self.lora_alpha is not None
        assert self.lora_rank is not None
        return (self.lora_alpha / self.lora_rank) * jnp.matmul(self.lora_a.value, self.lora_b.value)

    def _frozen_value(self) -> Any:
        """Return the weight without what adaptation adds."""
        return getattr(self, self._adapted).value

    def _adapted_shape(self) -> tuple[int, ...]:
        """Return the shape of the weight."""
        return tuple(getattr(self, self._adapted).shape)

    # Files hold the sum in the weight's place, so that they open without adaptation too.

    def _saved_variables(self) -> list[Variable]:
        thin = (self.lora_a, self.lora_b) if self.lora_enabled else ()
        return [v for v in self._direct_variables() if v not in thin]

    def _saved_value(self, variable: Variable) -> Any:
        adapted = self.lora_enabled and variable is getattr(self, self._adapted)
        return self._adapted_value() if adapted else super()._saved_value(variable)

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        if self.lora_enabled:  # the weight read holds what they added
            self.lora_a.assign(np.zeros(self.lora_a.shape))
            self.lora_b.assign(np.zeros(self.lora_b.shape))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # As Keras, which writes them only where they are used.
        lora = {name: config.pop(name) for name in ("lora_rank", "lora_alpha") if name in config}
        if lora.get("lora_rank"):
            config |= {"lora_rank": self.lora_rank, "lora_alpha": self.lora_alpha or self.lora_rank}
        return config
