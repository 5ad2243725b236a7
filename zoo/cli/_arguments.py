from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from . import _names as names


def _choice(table) -> object:
    return tyro.conf.arg(metavar="{" + ",".join(table) + "}")


@dataclass(frozen=True)
class Train:
    """Train a model, measure it on held-out examples, and draw what it has learned.

    Leaves a run directory: settings.json, metrics.jsonl, timing.jsonl, model.safetensors, evaluation.json,
    figures/*.png.
    """

    data: Annotated[str, _choice([*names.DATA, "PATH"])] = "fashion-mnist-mini"
    """What to learn: a name, or the path of your own: a folder or zip file of pictures or .wav recordings, .npy, .npz,
    IDX files. Published sets are downloaded if they are nowhere on this machine."""
    size: tuple[int, ...] | None = None
    """Pixels that your pictures are brought to: one number, or height and width."""
    resize: Literal["crop", "stretch", "pad"] = "crop"
    """How: cut to the middle first, stretched, or padded with black."""
    class_level: int = 1
    """How many folders name a picture's class; 0 for no classes."""
    skip_corrupt: bool = False
    """Go on without files that cannot be decoded, and say which."""
    window: int | None = None
    """Samples of each window that recordings are cut into."""
    array: str | None = None
    """What the examples are called in an .npz file that leaves a doubt."""
    labels: str | None = None
    """What their labels are called there."""
    kind: Literal["images", "signals", "vectors"] | None = None
    """What your arrays are, where their shape says something else."""
    held_out: float = 0.1
    """The part of your examples that is held out, where they come with no such part."""
    split_seed: int = 0
    """Of the choice of those and of the order that examples come in, and of nothing else."""
    model: Annotated[str | None, _choice(names.MODELS)] = None
    """Unless given: conv for images, mlp for points in the plane."""
    likelihood: Annotated[str | None, _choice(names.LIKELIHOODS)] = None
    """Unless given: continuous-bernoulli for images, gaussian-shared for points in the plane."""
    prior: Annotated[str | None, _choice(names.PRIORS)] = None
    """What z is drawn from. Unless given: a mixture of 64 normals, learned, then fitted to the posteriors."""
    posterior: Annotated[str | None, _choice(names.POSTERIORS)] = None
    """What the encoder describes. Unless given: diagonal-normal, where the model leaves a choice."""
    networks: Annotated[str | None, _choice(names.NETWORKS)] = None
    """What leads from the data to the latents and back. Unless given: those that the model is called after, grid for
    vq, else conv for images and mlp for points in the plane."""
    objective: Annotated[str | None, _choice(names.OBJECTIVES)] = None
    """What is maximised. Unless given: elbo, or beta-elbo where --beta is given."""
    estimator: Annotated[str, _choice(names.ESTIMATORS)] = "reparameterised"
    """How the draws are differentiated."""
    observe: Annotated[str | None, _choice(names.OBSERVE)] = None
    """What the model sees of an image. Unless given: dequantise for densities, binarise for bernoulli."""
    k: int = 1
    """Latents drawn for each example in training."""
    beta: float | None = None
    """Weight of the divergence (beta-elbo), or of the ELBO in the mixture of bounds (ciwae)."""
    gamma: float | None = None
    """Weight of the divergence's distance from its capacity (capacity-elbo)."""
    capacity: float | None = None
    """The divergence aimed at, nats (capacity-elbo)."""
    nats: float | None = None
    """The divergence that costs nothing, nats (free-bits)."""
    m: int | None = None
    """Groups of draws (miwae, piwae)."""
    alpha: float | None = None
    """Order of the divergence (renyi)."""
    exponent: float | None = None
    """Exponent of the mean of the weights (power)."""
    order: int | None = None
    """1 or 2: how many orders of the bias are taken out (jackknife)."""
    warmup: int = 0
    """Steps in which the objective's beta (or capacity) rises from 0 to its value."""
    penalty: Annotated[str | None, _choice(names.PENALTIES)] = None
    """A penalty on each batch, added to the loss."""
    penalty_weight: float = 1.0
    """Weight of the penalty; the two DIP penalties have weights of their own, which this multiplies."""
    latent_size: int | None = None
    """Dimensions of z, or variables of discrete; of a hierarchical model's top, the layer below having four times as
    many. Unless given: 8 for images, or 20 with discrete; 2 for points in the plane."""
    width_size: int | None = None
    """Width of the networks. Unless given: 32 channels for conv, resnet and grid, 16 for pooled (the reference network
    has 32), 200 units for mlp."""
    norm: Annotated[str, _choice(names.NORMS)] = "none"
    """Normalisation after each convolution of conv and pooled networks."""
    epochs: int | None = None
    """Passes over the training data. Unless given: as many as take about two minutes on two cores."""
    batch_size: int | None = None
    """Examples to a step. Unless given: 32, or as many as there are."""
    microbatches: int = 1
    """Parts into which each batch is cut: the same gradient in less memory."""
    learning_rate: float = 1e-3
    """Of Adam; falls to zero along a cosine."""
    evaluation_k: int = 100
    """Draws for each held-out example in the log-likelihood at the end."""
    evaluation_examples: int | None = None
    """Held-out examples measured at the end. Unless given: 250 images, or all points; `zoo evaluate` takes all."""
    seed: int = 0
    """All of the run's randomness."""
    out: Path | None = None
    """The run directory. Unless given: runs/<date>-<time>-<model>."""
    overwrite: bool = False
    """Replace a run directory that exists."""
    devices: int | None = None
    """Devices that share each batch; with --distributed, of a CPU, those of each process. Unless given: the cores of a
    CPU, as many as get 16 examples each; elsewhere, with --penalty or --distributed, 1."""
    checkpoint_every: int | None = None
    """Steps between checkpoints. Unless given: 100, or as many hundreds as cost less than 2% of the time."""
    resume: Path | None = None
    """Go on with the run in this directory, with its settings; nothing else may be given but --distributed and its own
    options."""
    distributed: bool = False
    """Train together with other processes, each started with the same command: all their devices share each batch, the
    first writes the run directory, and to resume all must see it."""
    coordinator: str | None = None
    """Host and port of the first process. Unless given: as Slurm, Open MPI or Kubernetes tell."""
    processes: int | None = None
    """How many there are. Unless given: as Slurm, Open MPI or Kubernetes tell."""
    process: int | None = None
    """Which this is, from 0. Unless given: as Slurm, Open MPI or Kubernetes tell."""


# Options of `zoo.data.load`: how data of one's own are read.
LOADING = (
    *("size", "resize", "class_level", "skip_corrupt", "window", "array", "labels", "kind", "held_out", "split_seed"),
)
# A sweep goes over seeds, or over any option of training that is a real number.
SWEPT = (
    "seed",
    *(option.name for option in fields(Train) if option.type in (float, float | None) and option.name not in LOADING),
)


@dataclass(frozen=True)
class Sweep:
    """Train several models at once, one for each value of a number, and compare them.

    Leaves a directory with sweep.json, figures/sweep.png, and for each value the run directory of `zoo train`; over
    beta also the rates and distortions, and figures/rate_distortion.png.
    """

    over: Annotated[str, _choice([name.replace("_", "-") for name in SWEPT])] = "seed"
    """What the runs differ in. All learn from the same examples: points in the plane are those of `--seed`."""
    values: tuple[float, ...] = ()
    """One for each run. Unless given: the seeds 0 to 3."""
    train: tyro.conf.OmitArgPrefixes[Train] = field(default_factory=Train)
    """What they have in common; `--devices` share the runs, and unless given as many cores as share them equally."""


@dataclass(frozen=True)
class Evaluate:
    """Measure a trained model: a table of numbers with their standard errors, added to evaluation.json in the run.

    What earlier commands measured stays there, each number with its own examples, draws, seed, command and versions;
    a number of the same name is replaced.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory."""
    metrics: Annotated[tuple[str, ...], _choice(names.METRICS)] = ()
    """What to measure; some take many times as long as others: see `--examples`, and `zoo list metrics`. Unless given:
    log-likelihood, or for --posterior point the reconstruction."""
    split: Literal["test", "train"] = "test"
    """The held-out examples, or those that the model was trained on."""
    k: int = 1000
    """Draws for each example in log-likelihood and gaps, and at most 10 of them in elbo-decomposition."""
    examples: int | None = None
    """Only the first so many of the examples, and as many samples where those are compared."""
    seed: int = 1
    """Of the draws and of what the model sees."""
    data: Path | None = None
    """Where the run's own data are now, if not where they were."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class Sample:
    """Draw examples from a trained model into a picture and an array."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory."""
    n: int = 64
    """How many."""
    noise: bool = False
    """Samples of the density p(x), observation noise included, instead of the means E[x|z]."""
    label: int | None = None
    """The class to draw from a conditional model. Unless given: all of them in turn."""
    seed: int = 1
    """Of the draws."""
    out: Path | None = None
    """Where to put samples.png and samples.npy. Unless given: the run directory."""


@dataclass(frozen=True)
class Plot:
    """Draw a run's figures again."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory."""
    out: Path | None = None
    """Where to put them. Unless given: the run directory's figures/."""
    data: Path | None = None
    """Where the run's own data are now, if not where they were."""


@dataclass(frozen=True)
class Report:
    """Put a run's evaluation, figures, metrics and settings into one HTML file that needs no other."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory."""
    out: Path | None = None
    """The file. Unless given: report.html in the run directory."""
    data: Path | None = None
    """Where the run's own data are now, if not where they were; figures that are missing are drawn from them."""


@dataclass(frozen=True)
class List:
    """Say what the zoo holds: every name the command line takes, and the paper behind it."""

    kind: Annotated[tuple[str, ...], tyro.conf.Positional, _choice(names.LISTED)] = field(default=())
    """Only these kinds."""
