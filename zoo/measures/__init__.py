"""What `zoo evaluate --metrics` measures: each function gives the rows of a table."""

from ._measured import Measured as Measured, Row as Row, Rows as Rows
from ._of_codes import (
    beta_vae_score as beta_vae_score,
    dci as dci,
    factor_vae_score as factor_vae_score,
    knn_probe as knn_probe,
    linear_probe as linear_probe,
    mig as mig,
    modularity as modularity,
    sap as sap,
)
from ._of_model import (
    active_units as active_units,
    ais as ais,
    elbo_decomposition as elbo_decomposition,
    gaps as gaps,
    log_likelihood as log_likelihood,
    reconstruction as reconstruction,
)
from ._of_samples import (
    density_coverage as density_coverage,
    frechet_distance as frechet_distance,
    mmd as mmd,
    nearest_copies as nearest_copies,
    precision_recall as precision_recall,
)
