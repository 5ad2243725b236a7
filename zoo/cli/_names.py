"""The one place where names become objects.

Nothing here imports jax until a name is looked up: `import zoo` is lazy, and the objects hide in functions.
"""

import difflib
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import zoo


class Entry(NamedTuple):
    """What a name stands for, and a line about it with its paper."""

    get: Callable[[], Any]
    about: str


Table = dict[str, Entry]


def _default(**_: Any) -> None:
    """In place of a constructor: leave it to the model."""


def _metrics(part: str = "_metrics") -> Any:
    return import_module(f".{part}", __package__)


MODELS: Table = {
    "conv": Entry(lambda: zoo.ConvVAE, "convolutional VAE of images; Kingma & Welling 2014"),
    "mlp": Entry(lambda: zoo.MLPVAE, "fully connected VAE of vectors or flattened images; Kingma & Welling 2014"),
    "resnet": Entry(lambda: zoo.ResNetVAE, "residual VAE of images; He et al. 2016, Kingma & Welling 2014"),
    "conditional": Entry(lambda: zoo.ConditionalVAE, "p(x | z, y), given the label y; Sohn et al. 2015"),
    "hierarchical": Entry(lambda: zoo.HierarchicalVAE, "two layers of latents, inferred upwards; Burda et al. 2016"),
    "ladder": Entry(
        lambda: partial(zoo.HierarchicalVAE, inference=zoo.models.TopDown),
        "two layers of latents, inferred downwards; Sønderby et al. 2016",
    ),
    "discrete": Entry(lambda: zoo.DiscreteVAE, "categorical latents; Jang et al. 2017, Maddison et al. 2017"),
    "vq": Entry(lambda: zoo.VQVAE, "a grid of codes from a codebook; van den Oord et al. 2017"),
}
LIKELIHOODS: Table = {
    "bernoulli": Entry(lambda: zoo.likelihoods.bernoulli, "black or white pixels"),
    "continuous-bernoulli": Entry(
        lambda: zoo.likelihoods.continuous_bernoulli, "grey pixels in [0, 1]; Loaiza-Ganem & Cunningham 2019"
    ),
    "gaussian": Entry(lambda: zoo.likelihoods.gaussian(), "normal, fixed scale 0.1"),
    "gaussian-learned": Entry(
        lambda: zoo.likelihoods.gaussian_learned, "normal, mean and scale of each dimension decoded"
    ),
    "gaussian-shared": Entry(
        lambda: zoo.likelihoods.gaussian_shared(), "normal, one learned scale (sigma-VAE); Rybkin et al. 2021"
    ),
    "laplace": Entry(lambda: zoo.likelihoods.laplace(), "double exponential, fixed scale 0.1"),
    "student-t": Entry(lambda: zoo.likelihoods.student_t, "heavy tails; location, scale, degrees of freedom decoded"),
    "logistic": Entry(lambda: zoo.likelihoods.logistic, "logistic, location and scale decoded"),
    "beta": Entry(lambda: zoo.likelihoods.beta, "beta density of pixels in (0, 1)"),
    "truncated-normal": Entry(lambda: zoo.likelihoods.truncated_normal, "normal restricted to [0, 1]"),
    "discretized-logistic-mixture": Entry(
        lambda: zoo.likelihoods.discretized_logistic_mixture(),
        "8-bit pixels; Salimans et al. 2017 (PixelCNN++)",
    ),
}
PRIORS: Table = {
    "standard": Entry(lambda: zoo.priors.StandardNormal, "N(0, I); Kingma & Welling 2014"),
    "mixture": Entry(lambda: zoo.priors.MixtureOfNormals, "learned normals; Dilokthanakul et al. 2016"),
    "normal": Entry(lambda: zoo.priors.Normal, "one learned normal"),
    "conditional-normal": Entry(lambda: zoo.priors.ConditionalNormal, "a normal for each label; Sohn et al. 2015"),
    "conditional-mixture": Entry(
        lambda: zoo.priors.ConditionalMixture, "learned normals in shares of the label's; Wang et al. 2017"
    ),
    "vamp": Entry(lambda: zoo.priors.VampPrior, "posteriors at learned pseudo-inputs; Tomczak & Welling 2018"),
    "flow": Entry(lambda: zoo.priors.FlowPrior, "masked autoregressive flow; Papamakarios et al. 2017"),
    "uniform": Entry(lambda: _default, "every code alike, for discrete and vq"),
    "categorical": Entry(lambda: zoo.priors.Categorical, "learned shares of the classes, for discrete"),
    "autoregressive": Entry(
        lambda: zoo.priors.Autoregressive, "causal transformer over the codes, fitted after training, for vq"
    ),
    "sphere": Entry(lambda: zoo.priors.UniformSphere, "uniform on the hypersphere; Davidson et al. 2018"),
}
POSTERIORS: Table = {
    "diagonal-normal": Entry(
        lambda: lambda latent_size, key: zoo.posteriors.DiagonalNormal, "independent normals; Kingma & Welling 2014"
    ),
    "full-normal": Entry(
        lambda: lambda latent_size, key: zoo.posteriors.FullNormal,
        "a normal with every covariance; Kingma & Welling 2019",
    ),
    "low-rank-normal": Entry(
        lambda: lambda latent_size, key: zoo.posteriors.LowRankFamily(min(2, latent_size)),
        "a normal with covariance of rank 2 and a diagonal; Rezende et al. 2014",
    ),
    "laplace": Entry(lambda: lambda latent_size, key: zoo.posteriors.Laplace, "independent double exponentials"),
    "von-mises-fisher": Entry(
        lambda: lambda latent_size, key: zoo.posteriors.VonMisesFisher,
        "on the hypersphere, with --prior sphere; Davidson et al. 2018",
    ),
    "point": Entry(
        lambda: lambda latent_size, key: zoo.posteriors.Point, "deterministic, with no bound; Ghosh et al. 2020"
    ),
    "flow": Entry(lambda: zoo.posteriors.FlowPosterior, "affine couplings; Dinh et al. 2017"),
    "inverse-autoregressive-flow": Entry(
        lambda: partial(zoo.posteriors.FlowPosterior, bijection=zoo.flows.MaskedAutoregressive),
        "Kingma et al. 2016",
    ),
    "planar-flow": Entry(
        lambda: partial(zoo.posteriors.FlowPosterior, bijection=zoo.flows.Planar),
        "Rezende & Mohamed 2015",
    ),
}
NETWORKS: Table = {
    "conv": Entry(lambda: zoo.nn.strided, "two stages of two 3 x 3 convolutions, each at half the sides before"),
    "pooled": Entry(lambda: zoo.nn.convolutional, "the same from full size, with max-pools: the reference network's"),
    "mlp": Entry(lambda: zoo.nn.fully_connected, "two hidden layers each way"),
    "resnet": Entry(lambda: zoo.nn.residual, "residual blocks; He et al. 2016"),
}
OBJECTIVES: Table = {
    "elbo": Entry(lambda: zoo.objectives.elbo, "evidence lower bound, Monte Carlo; Kingma & Welling 2014"),
    "elbo-kl": Entry(lambda: zoo.objectives.elbo_kl, "the same, divergence in closed form; Kingma & Welling 2014"),
    "beta-elbo": Entry(lambda: zoo.objectives.beta_elbo, "--beta times the divergence; Higgins et al. 2017"),
    "capacity-elbo": Entry(
        lambda: zoo.objectives.capacity_elbo, "--gamma |divergence - --capacity|; Burgess et al. 2018"
    ),
    "free-bits": Entry(lambda: zoo.objectives.free_bits, "the first --nats are free; Kingma et al. 2016"),
    "iwae": Entry(lambda: zoo.objectives.iwae, "importance-weighted bound; Burda et al. 2016"),
    "miwae": Entry(lambda: zoo.objectives.miwae, "mean of --m importance-weighted bounds; Rainforth et al. 2018"),
    "ciwae": Entry(lambda: zoo.objectives.ciwae, "--beta ELBO + (1 - --beta) IWAE; Rainforth et al. 2018"),
    "piwae": Entry(lambda: zoo.objectives.piwae, "IWAE for the model, MIWAE for q; Rainforth et al. 2018"),
    "renyi": Entry(lambda: zoo.objectives.renyi, "Renyi bound of order --alpha; Li & Turner 2016"),
    "power": Entry(lambda: zoo.objectives.power, "power mean of the weights, --exponent; Li & Turner 2016"),
    "reconstruction": Entry(
        lambda: zoo.objectives.reconstruction, "log p(x | z) alone, no bound, for --posterior point; Ghosh et al. 2020"
    ),
    "jackknife": Entry(lambda: zoo.objectives.jackknife, "bias of IWAE removed to --order 1 or 2; Nowozin 2018"),
}
ESTIMATORS: Table = {
    "reparameterised": Entry(lambda: zoo.estimators.reparameterised, "as written; Kingma & Welling 2014"),
    "stl": Entry(lambda: zoo.estimators.stl, "sticking the landing; Roeder et al. 2017"),
    "dreg": Entry(lambda: zoo.estimators.dreg, "doubly reparameterised; Tucker et al. 2019"),
}
PENALTIES: Table = {
    "total-correlation": Entry(lambda: zoo.penalties.total_correlation, "beta-TC-VAE; Chen et al. 2018"),
    "dip-i": Entry(lambda: zoo.penalties.dip_i, "covariance of the posterior means; Kumar et al. 2018"),
    "dip-ii": Entry(lambda: zoo.penalties.dip_ii, "covariance of the aggregated posterior; Kumar et al. 2018"),
    "mmd": Entry(lambda: zoo.penalties.mmd, "InfoVAE, WAE-MMD; Zhao et al. 2017, Tolstikhin et al. 2018"),
    "commitment": Entry(lambda: zoo.penalties.commitment, "trains vq's codebook; van den Oord et al. 2017"),
    "decoder-gradient": Entry(
        lambda: zoo.penalties.DecoderGradient, "the mean squared gradient of the decoder; Ghosh et al. 2020"
    ),
    "latent-norm": Entry(lambda: zoo.penalties.latent_norm, "half the squared length of z; Ghosh et al. 2020"),
    "sliced-wasserstein": Entry(lambda: zoo.penalties.sliced_wasserstein, "SWAE; Kolouri et al. 2018"),
}
OBSERVE: Table = {
    "scale": Entry(lambda: zoo.data.scale, "x / 255"),
    "dequantise": Entry(lambda: zoo.data.dequantise, "(x + u) / 256, fresh u at each visit; Theis et al. 2016"),
    "binarise": Entry(lambda: zoo.data.binarise, "coin flips of bias x / 255 at each visit; Burda et al. 2016"),
}
IMAGES: Table = {
    "fashion-mnist-mini": Entry(
        lambda: zoo.data.fashion_mnist_mini, "6,000 + 1,000 clothes, in the package; Xiao et al. 2017"
    ),
    "fashion-mnist": Entry(lambda: zoo.data.fashion_mnist, "60,000 + 10,000 clothes; Xiao et al. 2017"),
    "sprites": Entry(
        lambda: partial(zoo.data.sprites, 28),
        "20,000 + 5,000 squares, ellipses and hearts, with their factors; after Matthey et al. 2017",
    ),
}
POINTS: Table = {
    "eight-gaussians": Entry(lambda: zoo.data.eight_gaussians, "eight normals on a circle"),
    "two-moons": Entry(lambda: zoo.data.two_moons, "two half circles"),
    "two-spirals": Entry(lambda: zoo.data.two_spirals, "two arms of a spiral"),
    "checkerboard": Entry(lambda: zoo.data.checkerboard, "uniform on eight squares"),
    "pinwheel": Entry(lambda: zoo.data.pinwheel, "five twisted normals"),
}
DATA: Table = IMAGES | POINTS
# Images of what the classifier of `zoo.fashion_features` knows.
CLOTHES = ("fashion-mnist-mini", "fashion-mnist")
OF_MODEL: Table = {
    "log-likelihood": Entry(
        lambda: _metrics().log_likelihood, "ELBO, importance-sampled log p(x), bits; Burda et al. 2016"
    ),
    "elbo-decomposition": Entry(
        lambda: _metrics().elbo_decomposition,
        "reconstruction and the parts of the divergence; Hoffman & Johnson 2016, Chen et al. 2018",
    ),
    "active-units": Entry(lambda: _metrics().active_units, "units of z that the data moves; Burda et al. 2016"),
    "gaps": Entry(lambda: _metrics().gaps, "what the posterior family and the encoder cost; Cremer et al. 2018"),
    "ais": Entry(lambda: _metrics().ais, "log p(x) by annealed importance sampling; Wu et al. 2017"),
}
OF_SAMPLES: Table = {
    "frechet-distance": Entry(
        lambda: _metrics("_quality").frechet_distance, "samples against images, no Inception FID; Heusel et al. 2017"
    ),
    "precision-recall": Entry(
        lambda: _metrics("_quality").precision_recall,
        "how real samples are, how much of the data they cover; Kynkäänniemi et al. 2019",
    ),
    "density-coverage": Entry(
        lambda: _metrics("_quality").density_coverage, "the same, robust to outliers; Naeem et al. 2020"
    ),
    "mmd": Entry(lambda: _metrics("_quality").mmd, "kernel two-sample test; Gretton et al. 2012"),
    "nearest-copies": Entry(
        lambda: _metrics("_quality").nearest_copies, "samples that repeat the training data; Meehan et al. 2020"
    ),
}
OF_LABELS: Table = {
    "linear-probe": Entry(lambda: _metrics("_codes").linear_probe, "logistic regression of the label on E[z | x]"),
    "knn-probe": Entry(lambda: _metrics("_codes").knn_probe, "the label of the nearest E[z | x]"),
}
OF_FACTORS: Table = {
    "mig": Entry(lambda: _metrics("_codes").mig, "mutual information gap; Chen et al. 2018"),
    "sap": Entry(lambda: _metrics("_codes").sap, "separated attribute predictability; Kumar et al. 2018"),
    "dci": Entry(
        lambda: _metrics("_codes").dci,
        "disentanglement, completeness, informativeness; Eastwood & Williams 2018",
    ),
    "modularity": Entry(lambda: _metrics("_codes").modularity, "one factor to a latent; Ridgeway & Mozer 2018"),
    "beta-vae-score": Entry(
        lambda: _metrics("_codes").beta_vae_score, "the factor two have in common; Higgins et al. 2017"
    ),
    "factor-vae-score": Entry(
        lambda: _metrics("_codes").factor_vae_score, "the latent that a fixed factor holds still; Kim & Mnih 2018"
    ),
}
METRICS: Table = OF_MODEL | OF_SAMPLES | OF_LABELS | OF_FACTORS
# The data sets whose images come with the factors that they were made of.
FACTORS = ("sprites",)
SPRITES, SHAPES = (20_000, 5_000), ("square", "ellipse", "heart")
NORMALISED = ("conv", "pooled")
NORMS: tuple[str, ...] = ("none", "group", "batch")
KINDS: dict[str, Table] = {
    "data": DATA,
    "model": MODELS,
    "likelihood": LIKELIHOODS,
    "prior": PRIORS,
    "posterior": POSTERIORS,
    "networks": NETWORKS,
    "objective": OBJECTIVES,
    "estimator": ESTIMATORS,
    "penalty": PENALTIES,
    "observe": OBSERVE,
}
# What `zoo list` lists: what is chosen in training, and what is measured.
LISTED: dict[str, Table] = KINDS | {"metrics": METRICS}
# What the model sees of an image, where a density of noisy pixels is not what the likelihood is about.
OBSERVE_OF = {"bernoulli": "binarise", "discretized-logistic-mixture": "scale"}
# Models whose z is a tuple of layers; those whose z is one vector.
LAYERED = ("hierarchical", "ladder")
VECTOR = ("conv", "mlp", "resnet", "conditional")
# The priors of models whose z is discrete, the default last; all other models take the other priors.
DISCRETE_PRIORS = {"discrete": ("uniform", "categorical"), "vq": ("uniform", "autoregressive")}
CONDITIONAL_PRIORS = ("conditional-normal", "conditional-mixture")
CLASSES, CODES = 10, 128
WIDTHS = {"conv": 32, "pooled": 16, "mlp": 200, "resnet": 32}
# The networks that a model may have whose own they are, the default first; all other models take any.
OWN_NETWORKS = {"conv": ("conv", "pooled"), "mlp": ("mlp",), "resnet": ("resnet",), "vq": ("conv",)}
COMPONENTS = 64
# About two minutes of training on two cores.
EPOCHS = {"fashion-mnist-mini": 16, "fashion-mnist": 1, "sprites": 2}
# The options of `zoo train` that are parameters of an objective.
OBJECTIVE_OPTIONS = ("beta", "gamma", "capacity", "nats", "m", "alpha", "exponent", "order")
# The numbers that `zoo sweep` may go over, and the seeds that it takes unless told.
SWEPT = ("seed", "learning_rate", "penalty_weight", "beta", "gamma", "capacity", "nats", "alpha", "exponent")
SEEDS = (0, 1, 2, 3)


def check(option: str, name: str, table: Iterable[str]) -> None:
    """**Raises:** `ValueError` with the nearest name if the table has no such entry."""
    if name in table:
        return
    near = difflib.get_close_matches(name, table, n=1, cutoff=0.4)
    hint = f"did you mean `{near[0]}`? " if near else ""
    raise ValueError(f"`--{option} {name}`: no such {option}; {hint}Known: {', '.join(table)}")


def look_up(option: str, settings: Any, table: Table) -> Any:
    """What the option's name stands for."""
    name = getattr(settings, option)
    check(option, name, table)
    return table[name].get()
