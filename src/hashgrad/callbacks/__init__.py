"""What watches a training: functions, the hooks of `Callback`, files, and trackers of experiments.

`Network.fit(..., callbacks=[...])` and `fit_stream` take functions of an epoch's record, and
`Callback` objects. TensorBoard, MLflow and Weights & Biases are extras of the package.

>>> from hashgrad import Dense, Network, callbacks
>>> losses = []
>>> net = Network(2, [Dense(8), Dense(2)])
>>> _ = net.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], epochs=3,
...             callbacks=[lambda record: losses.append(record["loss"])])
>>> len(losses)
3
"""

from .callback import Callback
from .files import CSVLogger, JSONLLogger
from .mlflow import MLflowLogger
from .scalars import scalars
from .tensorboard import TensorBoardLogger
from .wandb import WandbLogger

__all__ = [
    "CSVLogger",
    "Callback",
    "JSONLLogger",
    "MLflowLogger",
    "TensorBoardLogger",
    "WandbLogger",
    "scalars",
]
