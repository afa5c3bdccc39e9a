"""`import hashgrad` loads what every network needs, and nothing else until it is asked for."""

import copy
import pickle
import subprocess
import sys

import pytest

import hashgrad

LATER = [
    "sklearn", "scipy", "pandas", "polars", "pyarrow", "narwhals", "torch", "matplotlib", "rich",
    "typer", "pooch", "platformdirs", "threadpoolctl", "joblib", "importlib.metadata", "hashlib",
    "hashgrad.estimators", "hashgrad.datasets",
    "hashgrad.cli", "hashgrad.bench", "hashgrad.experiments",
]  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """The modules that a new Python has after running this."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What Python and NumPy load by themselves."""
    return loaded_by("import numpy")


def test_importing_hashgrad_loads_none_of_the_libraries_that_only_some_need(bare):
    loaded = loaded_by("import hashgrad") - bare
    assert "hashgrad.network" in loaded
    assert loaded.isdisjoint(LATER)


def test_training_a_network_needs_none_of_them_either(bare):
    code = """if True:
        import os
        os.environ["HASHGRAD_CALIBRATION"] = "off"
        from hashgrad import Dense, Network
        net = Network(2, [Dense(4), Dense(2)]).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
        net.predict([[0.0, 1.0]])"""
    loaded = loaded_by(code) - bare
    assert loaded.isdisjoint(set(LATER) - {"hashlib"})  # NumPy's random numbers load that one


def test_asking_for_an_estimator_loads_scikit_learn_then():
    assert "sklearn.base" in loaded_by("import hashgrad; hashgrad.MLPClassifier")


def test_every_public_name_is_listed_and_there():
    assert dir(hashgrad) == sorted(hashgrad.__all__)
    for name in hashgrad.__all__:
        assert getattr(hashgrad, name) is getattr(hashgrad, name)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor", "Network", "LSH"])
def test_public_classes_survive_pickling_by_name(name):
    kind = getattr(hashgrad, name)
    assert pickle.loads(pickle.dumps(kind)) is copy.deepcopy(kind) is kind


def test_the_version_is_the_installed_ones():
    from importlib.metadata import version

    assert hashgrad.__version__ == version("hashgrad")


def test_a_name_that_is_missing_is_refused_with_the_nearest():
    with pytest.raises(AttributeError, match="no attribute 'Netwok'; did you mean 'Network'"):
        _ = hashgrad.Netwok
