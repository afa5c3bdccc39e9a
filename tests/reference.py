"""The core's twin in plain NumPy float64: slow, short, and easy to check against the paper by eye.

A neuron is the augmented row [w; b], an input the augmented column [x; 1]. The twin never selects:
active sets are imposed on it, so that it says what should follow from a choice, whoever made it.
The first functions build the core's own objects, so that a test can say both sides in one breath.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashgrad import _core

# Per layer: neurons, and the gain on each one's activation.
Active = list[tuple[np.ndarray, np.ndarray]]

# ---- the core's side -----------------------------------------------------------------------------


def filled(spec: Any, **settings: Any) -> Any:
    """The spec with these attributes set."""
    for name, value in settings.items():
        setattr(spec, name, value)
    return spec


def lsh(**settings: Any) -> Any:
    """LSH settings with a small index, unless told otherwise."""
    small = {
        "bits": 4,
        "tables": 16,
        "projection": "gaussian",
        "center": True,
        "lookup": "scan",
        "code": "bits",
        "rank": 8,
    }
    return filled(
        _core.LshSpec(), **{**small, "rebuild_every": 10**9, "rehash_every": 10**9, **settings}
    )


def layer(
    n: int,
    activation: str = "linear",
    selector: str = "all",
    fraction: float = 1.0,
    **settings: Any,
) -> Any:
    """A layer of n neurons."""
    spec = {
        "n_outputs": n,
        "activation": activation,
        "selector": selector,
        "fraction": fraction,
        "lsh": lsh(),
    }
    return filled(_core.LayerSpec(), **{**spec, **settings})


def optimizer(name: str = "sgd", **settings: Any) -> Any:
    """An optimizer by name, how its state is kept, and whether it is lazy: `"adam/row/full"`."""
    name, state, way = [*name.split("/"), "", ""][:3]
    how = {"name": name, "state": state or "float32", "lazy": way != "full"}
    return filled(_core.OptimizerSpec(), **how, **settings)


def constant(rate: float) -> Any:
    """A schedule that keeps one rate."""
    return filled(_core.ScheduleSpec(), name="constant", rate=rate)


def dense(x: Any) -> Any:
    """A dense batch."""
    return _core.Batch.dense(np.ascontiguousarray(x, dtype=np.float32))


def csr(x: Any) -> Any:
    """A CSR batch of the non-zeros of a dense array."""
    x = np.asarray(x, dtype=np.float32)
    indptr = np.concatenate([[0], np.cumsum((x != 0).sum(axis=1))]).astype(np.int64)
    return _core.Batch.csr(indptr, np.nonzero(x)[1].astype(np.int32), x[x != 0], x.shape[1])


def labels(rows: list[list[int]], n_outputs: int) -> Any:
    """Label lists, one a row."""
    indptr = np.cumsum([0] + [len(row) for row in rows]).astype(np.int64)
    return _core.Targets.labels(
        indptr, np.array([y for row in rows for y in row], np.int32), n_outputs
    )


def targets(loss: str, y: Any, n_outputs: int) -> Any:
    """Targets in the form that the loss takes: label lists, or values."""
    return (
        _core.Targets.values(np.asarray(y, np.float32))
        if loss == "squared"
        else labels(y, n_outputs)
    )


def clusters(
    seed: int, n_inputs: int, n_outputs: int, n_rows: int
) -> tuple[np.ndarray, list[list[int]]]:
    """Rows without negative entries, each a noisy point around its label's centre; the labels."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(n_outputs, n_inputs))
    y = random.integers(n_outputs, size=n_rows)
    x = (centres[y] + random.normal(size=(n_rows, n_inputs))).clip(0)
    return x.astype(np.float32), [[int(label)] for label in y]


def rows(*numbers: int) -> np.ndarray:
    """Row numbers as the core takes them."""
    return np.array(numbers, dtype=np.uint32)


def train(net: Any, batch: Any, y: Any, order: Any, rate: float = 0.1, **how: Any) -> Any:
    """Visits the rows in this order at a constant rate."""
    order = np.asarray(order, dtype=np.uint32)
    weights = (how.get("example_weights"), how.get("output_weights"))
    size, threads, known = how.get("batch_size", 0), how.get("threads", 1), how.get("known", 1.0)
    more = (order[:64], known, how.get("resting"), how.get("workers", 0), how.get("chance"))
    more = (*more, how.get("inverse", False))
    return net.train(batch, y, order, constant(rate), size, threads, *weights, *more)


def augmented(net: Any) -> list[np.ndarray]:
    """Every layer's rows [w; b], copied, as float32."""
    t = net.tensors()
    n_layers = sum(name.endswith(".bias") for name in t)
    weights = [t[f"layers.{i}.weight"] for i in range(n_layers)]
    floats = [from_bfloat16(w) if w.dtype == np.uint16 else w for w in weights]
    return [np.column_stack([w, t[f"layers.{i}.bias"]]) for i, w in enumerate(floats)]


def chosen(traces: list[dict]) -> Active:
    """What the core selected for an example; gains act on hidden layers only."""
    sets = [(t["ids"].astype(int), t["gain"].astype(float)) for t in traces]
    return [*sets[:-1], (sets[-1][0], np.ones(len(sets[-1][0])))]


def close(got: Any, expected: np.ndarray, size: np.ndarray) -> None:
    """Equal up to float32's rounding; size: the sum of the terms' absolute values."""
    assert (np.abs(got - expected) <= 1e-6 * size + 1e-12).all()


# ---- forward, loss, backward ---------------------------------------------------------------------


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), for any z without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * z))


ACTIVATIONS = {
    "relu": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(float)),
    "tanh": (np.tanh, lambda a: 1 - a**2),
    "sigmoid": (sigmoid, lambda a: a * (1 - a)),
    "linear": (lambda z: z, np.ones_like),
}


@dataclass
class Passed:
    """One example's passage through one layer."""

    x: np.ndarray  # [input; 1]
    ids: np.ndarray
    gain: np.ndarray
    z: np.ndarray  # of ids, like the rest
    activation: np.ndarray
    delta: np.ndarray = field(default_factory=lambda: np.zeros(0))


def forward(
    W: list[np.ndarray], activations: list[str], x: np.ndarray, active: Active
) -> list[Passed]:
    """An example's walk through the layers with these neurons, all others being zero."""
    walk = []
    for w, name, (ids, gain) in zip(W, activations, active, strict=True):
        x1 = np.append(x, 1.0)
        z = w[ids] @ x1
        walk.append(Passed(x1, ids, gain, z, ACTIVATIONS[name][0](z)))
        x = np.zeros(len(w))
        x[ids] = gain * walk[-1].activation
    return walk


def loss_and_delta(
    loss: str, z: np.ndarray, ids: np.ndarray, y: Any, weight: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """An example's loss over its active outputs, and its derivative by each z."""
    if loss == "squared":
        out = np.zeros(len(y))
        out[ids] = z
        return 0.5 * float(((out - y) ** 2).sum()), z - np.asarray(y)[ids]
    hit = np.isin(ids, y).astype(float)
    if loss == "softmax":
        if len(y) == 0:
            return 0.0, np.zeros(len(z))
        log_p = z - z.max() - np.log(np.exp(z - z.max()).sum())
        return float(-(hit / len(y)) @ log_p), np.exp(log_p) - hit / len(y)
    weight = np.ones(len(z)) if weight is None else weight[ids]
    return float(weight @ (np.logaddexp(0, z) - hit * z)), weight * (sigmoid(z) - hit)


def backward(
    W: list[np.ndarray], activations: list[str], walk: list[Passed], delta: np.ndarray
) -> list[np.ndarray]:
    """Gradients of every layer's [w; b], zero outside active rows and non-zero inputs."""
    gradients = [np.zeros_like(w) for w in W]
    walk[-1].delta = delta
    for i in range(len(W) - 1, -1, -1):
        here = walk[i]
        gradients[i][here.ids] = np.outer(here.delta, here.x)
        if i > 0:
            below = walk[i - 1]
            towards = (here.delta @ W[i][here.ids])[below.ids]
            below.delta = (
                ACTIVATIONS[activations[i - 1]][1](below.activation) * below.gain * towards
            )
    return gradients


def loss_of(
    W: list[np.ndarray], activations: list[str], loss: str, x: np.ndarray, y: Any, active: Active
) -> float:
    """The loss alone, as finite differences need it."""
    last = forward(W, activations, x, active)[-1]
    return loss_and_delta(loss, last.z, last.ids, y)[0]


def top_k(z: np.ndarray, k: int, salt: int = 0) -> np.ndarray:
    """The k largest, in ascending order of number.

    A NaN is above all. Of equals the lower number comes first, or with `salt` the lower hash.
    """
    turn = np.array([mix(salt ^ i) if salt else i for i in range(len(z))], dtype=np.uint64)
    number = ~np.isnan(z)
    return np.sort(np.lexsort((turn, np.where(number, -z, 0), number))[:k])


# ---- optimizers ----------------------------------------------------------------------------------


def mix(x: int) -> int:
    """SplitMix64's finaliser, of which the core's streams are made."""
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def rounding_key(seed: int, layer: int, update: int, row: int, weights: bool = False) -> int:
    """What the random bits of a row's state follow from, or its weights'; updates from 0."""
    stream = mix(mix(mix(mix(mix(seed) ^ 8) ^ update)))  # purpose 8, and a name that is 0
    return mix(mix(stream ^ layer) ^ row) >> (32 if weights else 0) & 0xFFFFFFFF


def random_bits(columns: Any, key: int) -> np.ndarray:
    """32 random bits for each column of a row: evenly spread, and shifted by the key."""
    return ((np.asarray(columns, np.uint64) * 0x9E376A09 + key) % 2**32).astype(np.uint32)


def to_bfloat16(x: np.ndarray, random: np.ndarray) -> np.ndarray:
    """Bits of floats, rounded up or down by the lower sixteen of these random ones."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + (random & 0xFFFF)) >> 16).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """The floats that bits of bfloat16 stand for."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def unit_of(most: np.ndarray) -> np.ndarray:
    """The power of two above a row's largest moment."""
    some = most > 1e-30
    return np.where(some, 2.0 ** (np.floor(np.log2(np.where(some, most, 1))) + 1), 0)


def signed_bytes(x: np.ndarray, random: np.ndarray, axis: int = -1) -> tuple[Any, ...]:
    """Adam's m in bytes, rounded by the lower half of these bits; what they stand for; the unit."""
    unit = unit_of(np.abs(x).max(axis=axis, keepdims=True))
    size = np.abs(np.float32(x / np.where(unit > 0, unit, np.inf)))
    low = (random & 0xFFFF).astype(np.uint32)
    normal = ((size.view(np.uint32) + (low << 4)) >> 20).astype(int) - 112 * 8
    steps = np.floor(size * np.float32(2**17) + low.astype(np.float32) * np.float32(2**-16))
    code = np.where(size < 2**-14, steps.astype(int), normal)
    large = ((np.maximum(code, 8) + 112 * 8) << 20).astype(np.uint32).view(np.float32)
    number = np.sign(x) * np.where(code < 8, code * 2.0**-17, large)
    return (np.sign(x) * code).astype(np.int8), number * unit, unit


def byte_floats(x: np.ndarray, random: np.ndarray, axis: int = -1) -> tuple[Any, ...]:
    """Adam's v in bytes, rounded by the upper half; what they stand for; the unit."""
    unit = unit_of(x.max(axis=axis, keepdims=True))
    bits = np.float32(x / np.where(unit > 0, unit, np.inf)).view(np.uint32)
    code = np.maximum((bits + (random >> 16 << 4)) >> 20, 96 * 8 + 1) - 96 * 8
    code = np.where(bits > 0, code, 0)
    number = ((code + 96 * 8) << 20).astype(np.uint32).view(np.float32)
    return code.astype(np.uint8), np.where(code > 0, number, 0) * unit, unit


def same_steps(got: np.ndarray, expected: np.ndarray, state: str = "float32") -> None:
    """Weights are alike; where state is rounded, one in fifty may be a step of rounding off."""
    off = ~(np.abs(got - expected) <= 2e-5 + 2e-4 * np.abs(expected))  # so that a NaN is off
    assert off.mean() <= (0 if state == "float32" else 0.02)
    np.testing.assert_allclose(got[off], expected[off], atol=5e-3)


class Optimizer:
    """One of the five, over one layer's [w; b]; `touched` says which weights it may write."""

    def __init__(
        self,
        spec: Any,
        shape: tuple[int, int],
        by_input: bool = False,
        seed: int = 0,
        layer: int = 0,
        halved: bool = False,
    ):
        self.halved = halved  # weights in bfloat16, but for the bias
        self.spec, self.m, self.v = spec, np.zeros(shape), np.zeros(shape)
        self.by_input, self.seed, self.layer = by_input, seed, layer
        self.across = 0 if by_input else 1  # what lies in a row that row-wise Adagrad knows
        self.row = np.zeros(shape).sum(axis=self.across, keepdims=True)
        self.last = np.zeros_like(self.row)  # the update that moved a row

    def step(
        self, w: np.ndarray, gradient: np.ndarray, touched: np.ndarray, rate: float, t: int
    ) -> None:
        """The t-th update (from 1) of the network, in place."""
        s, kind = self.spec, self.spec.name
        decay = s.l2 * w
        decay[:, -1] = 0  # biases do not decay
        g = gradient + decay
        m, v = self.m.copy(), self.v.copy()
        if kind == "sgd":
            move = rate * g
        elif kind == "momentum":
            m = s.momentum * m + g
            move = rate * m
        elif kind == "adagrad":
            v = v + g**2
            m = s.momentum * m + g / (np.sqrt(v) + s.epsilon)
            move = rate * m
        elif kind == "adam":
            gap = np.ones_like(self.row) if s.lazy else t - self.last
            m = s.beta1**gap * m + (1 - s.beta1) * g
            v = s.beta2**gap * v + (1 - s.beta2) * g**2
            if s.state == "row":
                v = np.broadcast_to(self.mean_square(g, touched, gap), v.shape)
            move = rate * (m / (1 - s.beta1**t)) / (np.sqrt(v / (1 - s.beta2**t)) + s.epsilon)
            move *= (1 - s.beta1**gap) / (1 - s.beta1)
            self.last = np.where(touched.any(axis=self.across, keepdims=True), t, self.last)
        else:
            self.row += (gradient**2).mean(axis=self.across, keepdims=True)
            move = rate * g / (np.sqrt(self.row) + s.epsilon)
        w[touched] -= move[touched]
        if self.halved:
            random = self.random(t - 1, weights=True)[:, :-1]
            w[:, :-1] = from_bfloat16(to_bfloat16(w[:, :-1], random))
        self.m[touched], self.v[touched] = m[touched], v[touched]
        if s.state == "8-bit":
            random = self.random(t - 1)
            moved = touched.any(axis=self.across, keepdims=True)
            for kept, code in ((self.m, signed_bytes), (self.v, byte_floats)):
                kept[...] = np.where(moved, code(kept, random, self.across)[1], kept)
        elif s.state != "float32":
            random = self.random(t - 1)
            self.m[touched] = from_bfloat16(to_bfloat16(self.m, random))[touched]
            self.v[touched] = from_bfloat16(to_bfloat16(self.v, random >> 16))[touched]

    def mean_square(self, g: np.ndarray, touched: np.ndarray, gap: np.ndarray) -> np.ndarray:
        """Of each row, Adam's mean of the squares of those gradients that there are."""
        n = touched.sum(axis=self.across, keepdims=True)
        square = (g**2 * touched).sum(axis=self.across, keepdims=True) / np.maximum(n, 1)
        moved = self.spec.beta2**gap * self.row + (1 - self.spec.beta2) * square
        self.row = np.where(n > 0, moved, self.row)
        return self.row

    def random(self, update: int, weights: bool = False) -> np.ndarray:
        """Random bits for each weight."""
        n, columns = self.m.T.shape if self.by_input else self.m.shape
        keys = [rounding_key(self.seed, self.layer, update, row, weights) for row in range(n)]
        bits = np.array([random_bits(np.arange(columns), key) for key in keys])
        return bits.T if self.by_input else bits


# ---- hashing -------------------------------------------------------------------------------------

QUANTUM = 2.5  # r of the Euclidean family
BOUND = {"none": 1.0, "simple": 1.0, "sign-alsh": 0.75, "l2-alsh": 0.83}


def centred(
    w: np.ndarray, b: np.ndarray, x: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Neurons [w; b + w.mean] and inputs [x - mean; 1]: the same inner products."""
    return np.column_stack([w, b + w @ mean]), np.column_stack([x - mean, np.ones(len(x))])


def transformed(
    name: str, v: np.ndarray, u: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """What an asymmetric transform makes of neurons v and queries u; scale: the largest |v|."""
    if name == "none":
        return v, u
    v = v * BOUND[name] / scale
    n2 = np.minimum((v**2).sum(axis=1, keepdims=True), BOUND[name] ** 2)
    if name == "simple":
        return np.hstack([v, np.sqrt(1 - n2)]), np.hstack([u, np.zeros((len(u), 1))])
    if name == "sign-alsh":
        return np.hstack([v, 0.5 - n2, 0.5 - n2**2]), np.hstack([u, np.zeros((len(u), 2))])
    u = u / np.linalg.norm(u, axis=1, keepdims=True)
    return np.hstack([v, n2, n2**2, n2**4]), np.hstack([u, np.full((len(u), 3), 0.5)])


def signed_products(
    bits: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.float32, np.float32]:
    """Products of x with rows of signs, as tables tell them that have a byte for four signs.

    Returns these (n,), the tables (len(x) / 4, 16), what 1 of their sums stands for, and 0.
    """
    four = np.abs(x.reshape(-1, 4))
    size = np.zeros(len(four), np.float32)
    for j in range(4):
        size += four[:, j]
    most, total = size.max(), np.float32(0)
    for s in size:
        total += s
    if not np.all(size <= 1e35):
        return np.full(len(bits), np.nan), np.zeros((len(four), 16)), np.float32("nan"), total
    scale = np.float32(31) / most if most >= 1e-30 else np.float32(0)
    right = (np.arange(16)[:, None] >> np.arange(4) & 1) == (x.reshape(-1, 1, 4) >= 0)
    entry = np.rint((right * (scale * four)[:, None].astype(float)).sum(axis=2))
    unit, least = (np.float32(2) / scale, -total) if scale else (np.float32(0), np.float32(0))
    sign = (bits.reshape(len(bits), -1, 4) * (1 << np.arange(4))).sum(axis=2)
    return unit * entry[np.arange(len(four)), sign].sum(axis=1) + least, entry, unit, least


def halved(x: np.ndarray) -> np.ndarray:
    """The nearest bfloat16s of finite numbers, of two as near the even one."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32).astype(float)


def sign_collision(v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """P(a sign bit agrees) = 1 - angle / pi, for all pairs (Charikar 2002)."""
    cosine = v @ u.T / np.linalg.norm(v, axis=1)[:, None] / np.linalg.norm(u, axis=1)
    return 1 - np.arccos(np.clip(cosine, -1, 1)) / np.pi


def parity_collision(v: np.ndarray, u: np.ndarray) -> np.ndarray:
    """P(two p-stable buckets agree in parity): a triangle wave averaged over a normal gap."""
    d = np.linalg.norm(v[:, None] - u[None], axis=2)
    k = np.arange(1, 200, 2)[:, None, None]
    return 0.5 + 4 / np.pi**2 * (np.exp(-((k * np.pi * d / QUANTUM) ** 2) / 2) / k**2).sum(axis=0)


def projections(t: dict[str, np.ndarray], at: str) -> tuple[np.ndarray, np.ndarray]:
    """Matrices from [x; 1] to a layer's hash values, of neurons and of queries, as saved."""
    p = t[f"{at}.lsh.projection"].astype(float)
    if f"{at}.lsh.mixing" not in t:
        return p, p
    balance = t.get(f"{at}.lsh.balance", np.ones(p.shape[1])).astype(float)
    mixing = t[f"{at}.lsh.mixing"].astype(float)
    return p * balance @ mixing, p / balance @ mixing


def probe_order(distance: np.ndarray) -> np.ndarray:
    """All masks of bits to flip, by the sum of their bits' squared distances."""
    masks = np.arange(1 << len(distance))
    cost = sum(((masks >> j & 1) * d**2 for j, d in enumerate(distance)), np.zeros(len(masks)))
    return masks[np.argsort(cost, kind="stable")]


def keys(bits: np.ndarray, n_bits: int) -> np.ndarray:
    """Table keys (n x tables) of rows of bits, n_bits a table, the first bit lowest."""
    return (bits.reshape(len(bits), -1, n_bits) * (1 << np.arange(n_bits))).sum(axis=2)
