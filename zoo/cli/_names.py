"""The one place where names become objects, and where it is known before jax is imported what goes with a choice."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pkgutil import resolve_name
from typing import Any, NamedTuple

import zoo


class Entry(NamedTuple):
    """What a name stands for, a line about it with its paper, and what is known of it.

    **Fields:** `get`: what looks the object up; `usual`: options of `zoo train` that go with the choice unless they are
    given; `traits`: what a data set holds and a metric needs, and of a prior whether it is fitted after training.
    """

    get: Callable[[], Any]
    about: str
    usual: Mapping[str, Any] = {}
    traits: tuple[str, ...] = ()


Table = dict[str, Entry]


def _entry(found: str | Callable[[], Any], about: str, *traits: str, **usual: Any) -> Entry:
    # Nothing is looked up yet: `zoo --help` must not wait for jax.
    get = partial(resolve_name, f"zoo.{found}") if isinstance(found, str) else found
    return Entry(get, about, usual, traits)


def _public(room: str, *traits: str, **about: str) -> Table:
    """Entries for what a room calls by the same names, with underscores for hyphens."""
    return {name.replace("_", "-"): _entry(f"{room}.{name}", line, *traits) for name, line in about.items()}


# How many classes a categorical latent has, how many codes a codebook.
CLASSES, CODES = 10, 128


def _uniform(model: str, num_variables: int, grid_shape: tuple[int, ...]) -> Any:
    """The prior under which all codes of a codebook, or all classes of a latent, are alike."""
    if model == "vq":
        return zoo.priors.UniformCodes(grid_shape, CODES)
    return zoo.priors.UniformCategorical(num_variables, CLASSES)


MODELS: Table = {
    "conv": _entry("ConvVAE", "convolutional VAE of images; Kingma & Welling 2014", networks="conv"),
    "mlp": _entry(
        "MLPVAE", "fully connected VAE of vectors or flattened images; Kingma & Welling 2014", networks="mlp"
    ),
    "resnet": _entry("ResNetVAE", "residual VAE of images; He et al. 2016, Kingma & Welling 2014", networks="resnet"),
    "conditional": _entry("ConditionalVAE", "p(x | z, y), given the label y; Sohn et al. 2015"),
    "hierarchical": _entry("HierarchicalVAE", "two layers of latents, inferred upwards; Burda et al. 2016"),
    "ladder": _entry(
        lambda: partial(zoo.HierarchicalVAE, inference=zoo.models.TopDown),
        "two layers of latents, inferred downwards; Sønderby et al. 2016",
    ),
    "discrete": _entry(
        lambda: partial(zoo.DiscreteVAE, num_classes=CLASSES),
        "categorical latents; Jang et al. 2017, Maddison et al. 2017",
        prior="categorical",
        latent_size=20,
    ),
    "vq": _entry(
        lambda: partial(zoo.VQVAE, codebook_size=CODES),
        "a grid of codes from a codebook; van den Oord et al. 2017",
        networks="grid",
        prior="autoregressive",
        penalty="commitment",
    ),
}
LIKELIHOODS: Table = {
    "bernoulli": _entry("likelihoods.bernoulli", "black or white pixels", observe="binarise"),
    **_public("likelihoods", continuous_bernoulli="grey pixels in [0, 1]; Loaiza-Ganem & Cunningham 2019"),
    "gaussian": _entry(lambda: zoo.likelihoods.gaussian(), "normal, fixed scale 0.1"),
    **_public("likelihoods", gaussian_learned="normal, mean and scale of each dimension decoded"),
    "gaussian-shared": _entry(
        lambda: zoo.likelihoods.gaussian_shared(), "normal, one learned scale (sigma-VAE); Rybkin et al. 2021"
    ),
    "laplace": _entry(lambda: zoo.likelihoods.laplace(), "double exponential, fixed scale 0.1"),
    **_public(
        "likelihoods",
        student_t="heavy tails; location, scale, degrees of freedom decoded",
        logistic="logistic, location and scale decoded",
        beta="beta density of pixels in (0, 1)",
        truncated_normal="normal restricted to [0, 1]",
    ),
    "discretized-logistic-mixture": _entry(
        lambda: zoo.likelihoods.discretized_logistic_mixture(),
        "8-bit pixels; Salimans et al. 2017 (PixelCNN++)",
        observe="scale",
    ),
}
PRIORS: Table = {
    "standard": _entry("priors.StandardNormal", "N(0, I); Kingma & Welling 2014"),
    "mixture": _entry("priors.MixtureOfNormals", "learned normals; Dilokthanakul et al. 2016"),
    "normal": _entry("priors.Normal", "one learned normal"),
    "conditional-normal": _entry("priors.ConditionalNormal", "a normal for each label; Sohn et al. 2015"),
    "conditional-mixture": _entry(
        "priors.ConditionalMixture", "learned normals in shares of the label's; Wang et al. 2017"
    ),
    "vamp": _entry("priors.VampPrior", "posteriors at learned pseudo-inputs; Tomczak & Welling 2018"),
    "flow": _entry("priors.FlowPrior", "masked autoregressive flow; Papamakarios et al. 2017"),
    "uniform": _entry(lambda: _uniform, "every code alike, for discrete and vq"),
    "categorical": _entry(
        lambda: partial(zoo.priors.Categorical, num_classes=CLASSES), "learned shares of the classes, for discrete"
    ),
    "autoregressive": _entry(
        lambda: partial(zoo.priors.Autoregressive, num_codes=CODES),
        "causal transformer over the codes, fitted after training, for vq",
        "fitted after training",
    ),
    "sphere": _entry("priors.UniformSphere", "uniform on the hypersphere; Davidson et al. 2018"),
}
# A family of posteriors, or what makes one for a `latent_size`.
POSTERIORS: Table = {
    "diagonal-normal": _entry("posteriors.DiagonalNormal", "independent normals; Kingma & Welling 2014"),
    "full-normal": _entry("posteriors.FullNormal", "a normal with every covariance; Kingma & Welling 2019"),
    "low-rank-normal": _entry(
        lambda: lambda latent_size: zoo.posteriors.LowRankFamily(min(2, latent_size)),
        "a normal with covariance of rank 2 and a diagonal; Rezende et al. 2014",
    ),
    "laplace": _entry("posteriors.Laplace", "independent double exponentials"),
    "von-mises-fisher": _entry(
        "posteriors.VonMisesFisher", "on the hypersphere, with --prior sphere; Davidson et al. 2018", prior="sphere"
    ),
    "point": _entry("posteriors.Point", "deterministic, with no bound; Ghosh et al. 2020", objective="reconstruction"),
    "flow": _entry("posteriors.FlowPosterior", "affine couplings; Dinh et al. 2017"),
    "inverse-autoregressive-flow": _entry(
        lambda: partial(zoo.posteriors.FlowPosterior, bijection=zoo.flows.MaskedAutoregressive), "Kingma et al. 2016"
    ),
    "planar-flow": _entry(
        lambda: partial(zoo.posteriors.FlowPosterior, bijection=zoo.flows.Planar), "Rezende & Mohamed 2015"
    ),
}
NETWORKS: Table = {
    "conv": _entry("nn.strided", "stages of two 3 x 3 convolutions, each at half the sides before", width_size=32),
    "pooled": _entry(
        "nn.convolutional", "the same from full size, with max-pools: the reference network's", width_size=16
    ),
    "mlp": _entry("nn.fully_connected", "two hidden layers each way", width_size=200),
    "resnet": _entry("nn.residual", "residual blocks; He et al. 2016", width_size=32),
    "grid": _entry("nn.grid", "a grid of vectors, for the codes of vq; van den Oord et al. 2017", width_size=32),
}
OBJECTIVES: Table = _public(
    "objectives",
    elbo="evidence lower bound, Monte Carlo; Kingma & Welling 2014",
    elbo_kl="the same, divergence in closed form; Kingma & Welling 2014",
    beta_elbo="--beta times the divergence; Higgins et al. 2017",
    capacity_elbo="--gamma |divergence - --capacity|; Burgess et al. 2018",
    free_bits="the first --nats are free; Kingma et al. 2016",
    iwae="importance-weighted bound; Burda et al. 2016",
    miwae="mean of --m importance-weighted bounds; Rainforth et al. 2018",
    ciwae="--beta ELBO + (1 - --beta) IWAE; Rainforth et al. 2018",
    piwae="IWAE for the model, MIWAE for q; Rainforth et al. 2018",
    renyi="Renyi bound of order --alpha; Li & Turner 2016",
    power="power mean of the weights, --exponent; Li & Turner 2016",
    reconstruction="log p(x | z) alone, no bound, for --posterior point; Ghosh et al. 2020",
    jackknife="bias of IWAE removed to --order 1 or 2; Nowozin 2018",
)
ESTIMATORS: Table = _public(
    "estimators",
    reparameterised="as written; Kingma & Welling 2014",
    stl="sticking the landing; Roeder et al. 2017",
    dreg="doubly reparameterised; Tucker et al. 2019",
)
PENALTIES: Table = _public(
    "penalties",
    total_correlation="beta-TC-VAE; Chen et al. 2018",
    dip_i="covariance of the posterior means; Kumar et al. 2018",
    dip_ii="covariance of the aggregated posterior; Kumar et al. 2018",
    mmd="InfoVAE, WAE-MMD; Zhao et al. 2017, Tolstikhin et al. 2018",
    commitment="trains vq's codebook; van den Oord et al. 2017",
    latent_norm="half the squared length of z; Ghosh et al. 2020",
    sliced_wasserstein="SWAE; Kolouri et al. 2018",
) | {
    "decoder-gradient": _entry(
        "penalties.DecoderGradient", "the mean squared gradient of the decoder; Ghosh et al. 2020"
    )
}
OBSERVE: Table = {"numbers": _entry("data.as_numbers", "the numbers as they are")} | _public(
    "data",
    scale="x / 255",
    dequantise="(x + u) / 256, fresh u at each visit; Theis et al. 2016",
    binarise="coin flips of bias x / 255 at each visit; Burda et al. 2016",
)
_OF_IMAGES = dict(model="conv", likelihood="continuous-bernoulli", evaluation_examples=250)
_OF_POINTS = dict(
    model="mlp", likelihood="gaussian-shared", latent_size=2, epochs=100, evaluation_examples=2_000, observe="scale"
)
# What is usual with data of one's own, which are of one of these kinds.
OF_KIND: dict[str, dict[str, Any]] = {
    "images": _OF_IMAGES,
    "signals": dict(model="conv", likelihood="gaussian-shared", evaluation_examples=250, observe="numbers"),
    "vectors": dict(model="mlp", likelihood="gaussian-learned", evaluation_examples=2_000, observe="numbers"),
}
# What makes a data set of a key. Its epochs take about two minutes of training on two cores.
DATA: Table = {
    "fashion-mnist-mini": _entry(
        lambda: lambda key: zoo.data.from_clothes(zoo.data.fashion_mnist_mini()),
        "6,000 + 1,000 clothes, in the package; Xiao et al. 2017",
        *("pictures", "labels"),
        **_OF_IMAGES,
        epochs=16,
    ),
    "fashion-mnist": _entry(
        lambda: lambda key: zoo.data.from_clothes(zoo.data.fashion_mnist()),
        "60,000 + 10,000 clothes; Xiao et al. 2017",
        *("pictures", "labels"),
        **_OF_IMAGES,
        epochs=1,
    ),
    "mnist": _entry(
        lambda: lambda key: zoo.data.load("mnist"),
        "60,000 + 10,000 digits; LeCun et al. 1998",
        *("pictures", "labels"),
        **_OF_IMAGES,
        epochs=1,
    ),
    "kmnist": _entry(
        lambda: lambda key: zoo.data.load("kmnist"),
        "60,000 + 10,000 cursive Japanese letters; Clanuwat et al. 2018",
        *("pictures", "labels"),
        **_OF_IMAGES,
        epochs=1,
    ),
    "cifar10": _entry(
        lambda: lambda key: zoo.data.load("cifar10"),
        "50,000 + 10,000 photographs in colour, 32 x 32; Krizhevsky 2009",
        *("pictures", "labels"),
        **_OF_IMAGES,
        epochs=1,
    ),
    "sprites": _entry(
        lambda: lambda key: zoo.data.from_sprites(zoo.data.sprites(28)),
        "20,000 + 5,000 squares, ellipses and hearts, with their factors; after Matthey et al. 2017",
        *("pictures", "labels", "factors"),
        **_OF_IMAGES,
        epochs=2,
    ),
} | {
    name: _entry(lambda toy=toy: partial(zoo.data.from_toy, toy.get()), toy.about, **_OF_POINTS)
    for name, toy in _public(
        "data",
        eight_gaussians="eight normals on a circle",
        two_moons="two half circles",
        two_spirals="two arms of a spiral",
        checkerboard="uniform on eight squares",
        pinwheel="five twisted normals",
    ).items()
}
METRICS: Table = {
    **_public(
        "measures",
        log_likelihood="ELBO, importance-sampled log p(x), bits; Burda et al. 2016",
        elbo_decomposition="reconstruction and the parts of the divergence; Hoffman & Johnson 2016, Chen et al. 2018",
        active_units="units of z that the data moves; Burda et al. 2016",
        gaps="what the posterior family and the encoder cost; Cremer et al. 2018",
        ais="log p(x) by annealed importance sampling; Wu et al. 2017",
    ),
    **_public(
        "measures",
        "pictures",
        frechet_distance="samples against images, no Inception FID; Heusel et al. 2017",
        precision_recall="how real samples are, how much of the data they cover; Kynkäänniemi et al. 2019",
        density_coverage="the same, robust to outliers; Naeem et al. 2020",
        mmd="kernel two-sample test; Gretton et al. 2012",
    ),
    **_public(
        "measures",
        *("pictures", "both splits"),
        nearest_copies="samples that repeat the training data; Meehan et al. 2020",
    ),
    **_public(
        "measures",
        *("labels", "both splits"),
        linear_probe="logistic regression of the label on E[z | x]",
        knn_probe="the label of the nearest E[z | x]",
    ),
    **_public(
        "measures",
        "factors",
        mig="mutual information gap; Chen et al. 2018",
        sap="separated attribute predictability; Kumar et al. 2018",
        dci="disentanglement, completeness, informativeness; Eastwood & Williams 2018",
        modularity="one factor to a latent; Ridgeway & Mozer 2018",
        beta_vae_score="the factor two have in common; Higgins et al. 2017",
        factor_vae_score="the latent that a fixed factor holds still; Kim & Mnih 2018",
    ),
}
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
# What is usual where neither the options given nor the data, the posterior, the model or the likelihood say otherwise.
USUAL = {
    "posterior": "diagonal-normal",
    "prior": "mixture",
    "latent_size": 8,
    "observe": "dequantise",
    "batch_size": 32,
}


def check(option: str, name: str, table: Iterable[str]) -> None:
    """**Raises:** `ValueError` with the nearest name if the table has no such entry."""
    if name in table:
        return
    near = difflib.get_close_matches(name, table, n=1, cutoff=0.4)
    hint = f"did you mean `{near[0]}`? " if near else ""
    raise ValueError(f"`--{option} {name}`: no such {option}; {hint}Known: {', '.join(table)}")


def look_up(option: str, settings: Any) -> Any:
    """What the option's name in the settings stands for."""
    return KINDS[option][getattr(settings, option)].get()
