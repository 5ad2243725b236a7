"""What a trained model is worth, and what it makes of data: functions of a frozen model."""

from ._checks import check_evaluation as check_evaluation, check_examples as check_examples
from ._code_usage import CodeUsage as CodeUsage, code_usage as code_usage
from ._layers import kl_per_layer as kl_per_layer
from ._log_likelihood import bound as bound, log_likelihood as log_likelihood
from ._pictures import (
    decode as decode,
    draw_latents as draw_latents,
    encode as encode,
    reconstruct as reconstruct,
    sample as sample,
)
