"""Neural networks that train and predict on the few neurons each input needs.

The neurons are found by locality-sensitive hashing, after R. Spring and A. Shrivastava, "Scalable
and Sustainable Deep Learning via Randomized Hashing" (2016).
"""

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

    __version__: str

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
    "fit_stream",
    "load",
]


def __getattr__(name: str) -> Any:
    """The estimators and the version, when asked for: scikit-learn takes a second to import."""
    if name == "__version__":
        from importlib.metadata import version

        globals()[name] = found = version("hashgrad")
        return found
    if name in ("MLPClassifier", "MLPRegressor"):
        from . import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'hashgrad' has no attribute {name!r}{nearest(name, __all__)}")


def __dir__() -> list[str]:
    return __all__
