"""Layers for PyTorch that evaluate and train only the outputs that an input needs.

`LSHLinear` stands where `torch.nn.Linear` stands in hidden layers, `LSHSoftmaxLoss` where
`torch.nn.AdaptiveLogSoftmaxWithLoss` stands over a large vocabulary. Weights are ordinary
parameters in float32 on the CPU, which the core reads where they lie; any optimizer steps them.
Needs PyTorch: `pip install 'hashgrad[torch]'`.
"""

try:
    import torch  # noqa: F401
except ModuleNotFoundError:
    raise ImportError("hashgrad.torch needs PyTorch: pip install 'hashgrad[torch]'") from None

from .index import Multiplications
from .linear import LSHLinear
from .loss import LSHSoftmaxLoss, SampledLoss

__all__ = ["LSHLinear", "LSHSoftmaxLoss", "Multiplications", "SampledLoss"]
