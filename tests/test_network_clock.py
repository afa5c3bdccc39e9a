"""Files keep no clock: what is timed after a network went through one is told apart."""

import json

import hashgrad
from conftest import network
from hashgrad.cli import main


def test_seconds_start_again_after_the_records_that_came_from_a_file(blobs, tmp_path):
    net = network().fit(*blobs, epochs=2)
    net.save(tmp_path / "net")
    loaded = hashgrad.load(tmp_path / "net").fit(*blobs, epochs=4)
    seconds = [record["seconds"] for record in loaded.history]
    assert seconds[:2] == [None, None]
    assert 0 < seconds[2] < seconds[3]
    assert [r["examples"] for r in loaded.history] == [600] * 4


def trained(tmp_path, *words):
    """The JSON of `hashgrad train digits` with a small network."""
    figures = tmp_path / "figures.json"
    assert main(["train", "digits", "--quiet", "--json", str(figures), *map(str, words)]) == 0
    return json.loads(figures.read_text())


def test_the_speed_of_a_resumed_training_is_of_its_own_examples(tmp_path):
    model = tmp_path / "net"
    first = trained(tmp_path, "--hidden", 20, "--epochs", 2, "-o", model)
    assert first["resumed_from_epoch"] is None
    rows = first["data"]["train_rows"]

    resumed = trained(tmp_path, "--resume", model, "--epochs", 3)
    assert resumed["resumed_from_epoch"] == 2
    assert [r["seconds"] is None for r in resumed["history"]] == [True, True, False]
    assert resumed["train_seconds"] == resumed["history"][-1]["seconds"]
    assert round(resumed["examples_per_second"] * resumed["train_seconds"]) == rows


def test_a_training_resumed_inside_an_epoch_does_not_claim_the_examples_before(tmp_path):
    model = tmp_path / "net"
    trained(tmp_path, "--hidden", 20, "--epochs", 1, "-o", model)
    net = hashgrad.load(model)
    data = hashgrad.datasets.load("digits")
    net.fit(data.x_train, data.y_train, epochs=2, progress=InterruptingAtOnce())
    before = net.history[-1]["examples"]
    assert 0 < before < len(data.x_train)
    net.save(model)

    resumed = trained(tmp_path, "--resume", model, "--epochs", 2)
    assert resumed["resumed_from_epoch"] == 1
    examples = round(resumed["examples_per_second"] * resumed["train_seconds"])
    assert examples == len(data.x_train) - before


class InterruptingAtOnce:
    """A watcher that ends training after its first chunk."""

    def start(self, total_examples, epochs, first_epoch=1):
        pass

    def update(self, examples, loss):
        raise KeyboardInterrupt

    def epoch(self, record):
        pass

    def stop(self):
        pass
