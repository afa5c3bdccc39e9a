"""Neural networks that train and predict on the few neurons each input needs.

The neurons are found by locality-sensitive hashing, after R. Spring and A. Shrivastava, "Scalable
and Sustainable Deep Learning via Randomized Hashing" (2016).
"""

import importlib
from typing import TYPE_CHECKING, Any

from .checks import nearest
from .files import load
from .layers import Dense
from .network import Network
from .optimizers import SGD, Adagrad, Adam, Momentum, RowAdagrad
from .schedules import Constant, Cosine, Exponential, Linear, Step
from .selectors import LSH, Adaptive, All, Random, WinnerTakeAll
from .streaming import fit_stream

if TYPE_CHECKING:
    from .advising import advise
    from .estimators import MLPClassifier, MLPRegressor
    from .export import export_c, export_onnx
    from .sparsification import sparsify

    __version__: str

_LATER = {
    "MLPClassifier": ".estimators",
    "MLPRegressor": ".estimators",
    "advise": ".advising",
    "export_c": ".export",
    "export_onnx": ".export",
    "sparsify": ".sparsification",
}

__all__ = [
    "LSH",
    "SGD",
    "Adagrad",
    "Adam",
    "Adaptive",
    "All",
    "Constant",
    "Cosine",
    "Dense",
    "Exponential",
    "Linear",
    "MLPClassifier",
    "MLPRegressor",
    "Momentum",
    "Network",
    "Random",
    "RowAdagrad",
    "Step",
    "WinnerTakeAll",
    "__version__",
    "advise",
    "export_c",
    "export_onnx",
    "fit_stream",
    "load",
    "sparsify",
]


def __getattr__(name: str) -> Any:
    """The version, and what is loaded when asked for: scikit-learn takes a second to import."""
    if name == "__version__":
        from importlib.metadata import version

        globals()[name] = found = version("hashgrad")
        return found
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module 'hashgrad' has no attribute {name!r}{nearest(name, __all__)}")


def __dir__() -> list[str]:
    return __all__
