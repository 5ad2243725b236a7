"""The one place where names become objects.

Nothing here imports jax until a name is looked up: `import zoo` is lazy, and the objects hide in functions.
"""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

import zoo


Table = dict[str, Callable[[], Any]]

MODELS: Table = {"conv": lambda: zoo.models.ConvVAE, "mlp": lambda: zoo.models.MLPVAE}
LIKELIHOODS: Table = {
    "bernoulli": lambda: zoo.likelihoods.bernoulli,
    "continuous-bernoulli": lambda: zoo.likelihoods.continuous_bernoulli,
    "gaussian": lambda: zoo.likelihoods.gaussian(),
    "gaussian-learned": lambda: zoo.likelihoods.gaussian_learned,
    "gaussian-shared": lambda: zoo.likelihoods.gaussian_shared(),
    "laplace": lambda: zoo.likelihoods.laplace(),
    "student-t": lambda: zoo.likelihoods.student_t,
    "logistic": lambda: zoo.likelihoods.logistic,
    "beta": lambda: zoo.likelihoods.beta,
    "truncated-normal": lambda: zoo.likelihoods.truncated_normal,
    "discretized-logistic-mixture": lambda: zoo.likelihoods.discretized_logistic_mixture(),
}
OBJECTIVES: Table = {
    "elbo": lambda: zoo.objectives.elbo,
    "elbo-kl": lambda: zoo.objectives.elbo_kl,
    "beta-elbo": lambda: zoo.objectives.beta_elbo,
    "capacity-elbo": lambda: zoo.objectives.capacity_elbo,
    "free-bits": lambda: zoo.objectives.free_bits,
    "iwae": lambda: zoo.objectives.iwae,
    "miwae": lambda: zoo.objectives.miwae,
    "ciwae": lambda: zoo.objectives.ciwae,
    "piwae": lambda: zoo.objectives.piwae,
    "renyi": lambda: zoo.objectives.renyi,
    "power": lambda: zoo.objectives.power,
    "jackknife": lambda: zoo.objectives.jackknife,
}
ESTIMATORS: Table = {
    "reparameterised": lambda: zoo.estimators.reparameterised,
    "stl": lambda: zoo.estimators.stl,
    "dreg": lambda: zoo.estimators.dreg,
}
PENALTIES: Table = {
    "total-correlation": lambda: zoo.penalties.total_correlation,
    "dip-i": lambda: zoo.penalties.dip_i,
    "dip-ii": lambda: zoo.penalties.dip_ii,
    "mmd": lambda: zoo.penalties.mmd,
    "sliced-wasserstein": lambda: zoo.penalties.sliced_wasserstein,
}
OBSERVE: Table = {
    "scale": lambda: zoo.data.scale,
    "dequantise": lambda: zoo.data.dequantise,
    "binarise": lambda: zoo.data.binarise,
}
IMAGES: Table = {
    "fashion-mnist-mini": lambda: zoo.data.fashion_mnist_mini,
    "fashion-mnist": lambda: zoo.data.fashion_mnist,
}
POINTS: Table = {
    "eight-gaussians": lambda: zoo.data.eight_gaussians,
    "two-moons": lambda: zoo.data.two_moons,
    "two-spirals": lambda: zoo.data.two_spirals,
    "checkerboard": lambda: zoo.data.checkerboard,
    "pinwheel": lambda: zoo.data.pinwheel,
}
DATA: Table = IMAGES | POINTS
NORMS: tuple[str, ...] = ("none", "group", "batch")
KINDS: dict[str, Table] = {
    "data": DATA,
    "model": MODELS,
    "likelihood": LIKELIHOODS,
    "objective": OBJECTIVES,
    "estimator": ESTIMATORS,
    "penalty": PENALTIES,
    "observe": OBSERVE,
}
# What the model sees of an image, where a density of noisy pixels is not what the likelihood is about.
OBSERVE_OF = {"bernoulli": "binarise", "discretized-logistic-mixture": "scale"}
# About two minutes of training on two cores.
EPOCHS = {"fashion-mnist-mini": 12, "fashion-mnist": 1}
# The options of `zoo train` that are parameters of an objective.
OBJECTIVE_OPTIONS = ("beta", "gamma", "capacity", "nats", "m", "alpha", "exponent", "order")


def check(option: str, name: str, table: Iterable[str]) -> None:
    """**Raises:** `ValueError` with the nearest name if the table has no such entry."""
    if name in table:
        return
    near = difflib.get_close_matches(name, table, n=1, cutoff=0.4)
    hint = f"did you mean `{near[0]}`? " if near else ""
    raise ValueError(f"`--{option} {name}`: no such {option}; {hint}Known: {', '.join(table)}")


def look_up(option: str, name: str, table: Table) -> Any:
    check(option, name, table)
    return table[name]()


