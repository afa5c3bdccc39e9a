"""Neural networks that train and predict on the few neurons each input needs.

The neurons are found by locality-sensitive hashing, after R. Spring and A. Shrivastava, "Scalable
and Sustainable Deep Learning via Randomized Hashing" (2016).
"""

from importlib.metadata import version
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
    from .estimators import MLPClassifier, MLPRegressor
    from .export import export_c, export_onnx

__version__ = version("hashgrad")

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
    "export_c",
    "export_onnx",
    "fit_stream",
    "load",
]


def __getattr__(name: str) -> Any:
    """What few need, loaded when asked for: scikit-learn takes a second to import."""
    if name in ("MLPClassifier", "MLPRegressor"):
        from . import estimators

        return getattr(estimators, name)
    if name in ("export_c", "export_onnx"):
        from . import export

        return getattr(export, name)
    raise AttributeError(f"module 'hashgrad' has no attribute {name!r}{nearest(name, __all__)}")


def __dir__() -> list[str]:
    return __all__
