from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ._partitioned import Partitioned, partitioned


Tree = TypeVar("Tree", bound=PyTree)


class Stochastic(eqx.Module):
    """A network that is random in training, as one with `equinox.nn.Dropout` is.

    ```python
    layers = [eqx.nn.Linear(30, 64, key=key), eqx.nn.Dropout(0.2), eqx.nn.Linear(64, 16, key=key)]
    encoder = zoo.nn.Stochastic(eqx.nn.Sequential(layers))
    ```

    Training gives it a fresh key for every example at every step; of one example all draws share it. `zoo.freeze` puts
    the network into inference mode, as `equinox.nn.inference_mode` does. In between there is no key, and a call says
    so: what a model is worth does not depend on chance.

    **Fields:** `network`: called as `network(x, key=key)`; `key`: `None`, but while `give_keys` has put one there.

    Srivastava et al., "Dropout: A simple way to prevent neural networks from overfitting", 2014.
    """

    network: Callable = eqx.field(converter=partitioned)
    key: PRNGKeyArray | None = None

    def __call__(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        if self.key is None:
            raise ValueError(
                "`Stochastic` needs a key, which only training gives; to score, sample or plot, call "
                "`model = zoo.freeze(model, xs, key=key)` first"
            )
        return self.network(x, key=self.key)

    def frozen(self) -> "Deterministic":
        """The same network in inference mode."""
        network = self.network.module if isinstance(self.network, Partitioned) else self.network
        return Deterministic(eqx.nn.inference_mode(network))


class Deterministic(eqx.Module):
    """What `zoo.freeze` makes of a `Stochastic` network: it is called without a key.

    **Fields:** `network`: in inference mode, called as `network(x, key=None)`.
    """

    network: Callable = eqx.field(converter=partitioned)

    def __call__(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        return self.network(x, key=None)


def give_keys(model: Tree, *, key: PRNGKeyArray) -> Tree:
    """The model with a key in each of its `Stochastic` networks; one without any is returned as it is.

    **Arguments:** `model`: any tree of modules; `key`: network i is given `fold_in(key, i)`.
    """
    nodes, structure = jax.tree.flatten(model, is_leaf=_is_stochastic)
    places = [i for i, node in enumerate(nodes) if _is_stochastic(node)]
    for number, place in enumerate(places):
        nodes[place] = Stochastic(nodes[place].network, jr.fold_in(key, number))
    return jax.tree.unflatten(structure, nodes) if places else model


def _is_stochastic(node: Any) -> bool:
    return isinstance(node, Stochastic)
