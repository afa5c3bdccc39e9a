"""What a network takes is known before it is made, and refused where there is no room."""

import os
import subprocess
import sys

import numpy as np
import pytest

import hashgrad
from cli_help import caller
from conftest import N_INPUTS, hashed, network, smallest_batch, to_bytes
from hashgrad import LSH, SGD, Adam, Dense, Network, RowAdagrad, _core, memory
from hashgrad.memory import Memory, available_memory_bytes, needed

MIB = 2**20
LAYERS = {
    "by neuron": Dense(3000, layout="neuron"),
    "by input": Dense(3000, layout="input"),
    "exact": hashed(3000, lookup="exact"),
    "bytes": hashed(3000),
    "bits": hashed(3000, code="bits"),
    "gaussian": hashed(3000, projection="gaussian", transform="sign-alsh"),
    "dwta": hashed(3000, family="dwta", probes=1),
    "minhash": hashed(3000, family="minhash", probes=1),
    "tables": hashed(3000, lookup="tables"),
    "auto": Dense(3000, active=LSH(0.1)),
    "auto, many": Dense(60_000, active=LSH(0.01)),
}
OPTIMIZERS = ["sgd", "momentum", "adagrad", "adam", "row-adagrad"]
OPTIMIZERS += [Adam(state="bfloat16"), Adam(state="row"), Adam(state="8-bit")]
OPTIMIZERS += [Adam(lazy=False)]


# ---- the statement -------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("layer", LAYERS)
def test_it_is_what_the_core_takes(blobs, layer, optimizer):
    def check(net):
        stated = net.memory()
        taken = stated.weights + stated.optimizer + stated.hashes
        if stated.tables:  # of which there is, before they are filled, each neuron's place
            taken += 4 * net.layers[0].selector.tables * net.layers[0].n
        assert net.memory_bytes == pytest.approx(taken, rel=0.01)

    size = smallest_batch(optimizer)
    net = network(LAYERS[layer], optimizer=optimizer, batch_size=size)
    assert net.memory() == needed(N_INPUTS, net.layers, net.optimizer, batch_size=size)
    check(net)
    net.fit(*blobs, epochs=1)
    if not net.memory().tables:
        check(net)


def test_tables_are_stated_roughly():
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 32)).astype(np.float32)
    y = random.integers(60_000, size=(400, 1)).tolist()
    head = Dense(60_000, active=LSH(1e-4, lookup="tables", pooled=True))
    net = Network(32, [Dense(64), head], loss="logistic", batch_size=16).fit(X, y, epochs=1)
    stated = net.memory()
    tables = net.memory_bytes - stated.weights - stated.optimizer - stated.hashes
    assert 0.5 < stated.tables / tables < 2


def test_a_pool_holds_what_examples_that_ask_bring_and_a_label_of_each():
    def scores(batch_size, **how):
        outputs = Dense(10**6, active=LSH(1e-5, lookup="tables", pooled=True, **how))
        return needed(32, [outputs], Adam(), batch_size=batch_size).examples

    nobody = scores(96, query_every=0)
    for every, asking in ((1, 96), (5, 20), (1000, 1)):
        brought = 4 * 128 * 10 * asking  # to 96 examples, in two panels of 64
        assert scores(96, query_every=every) - nobody == brought
    labels = [4 * columns * n for n, columns in ((96, 128), (16, 16), (65, 128), (48, 48))]
    bare = {n: 4 * 3 * max(n, 8) * 10 for n in (96, 16, 65, 48)}  # of the active sets
    found = [scores(n, query_every=0) - bare[n] for n in (96, 16, 65, 48)]
    assert [f - found[1] for f in found] == [size - labels[1] for size in labels]


def test_a_pool_in_bfloat16_has_copies_of_half_the_size():
    def scores(**how):
        active = LSH(0.1, lookup="tables", pooled=True, query_every=0, fill=501, **how)
        return needed(40, [Dense(5000, active=active)], Adam(), batch_size=96).examples

    more = scores(precision="bfloat16") - scores()
    assert more == 4 * (128 * 251 + 501 * 48)  # gradients of two outputs, and weights twice


@pytest.mark.parametrize("n_inputs", [15, 16, 31, 32, 100])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_in_bfloat16_take_half_of_it(optimizer, n_inputs):
    def made(dtype):
        head = Dense(6000, active=LSH(0.01, lookup="scan", pooled=True), dtype=dtype)
        net = Network(8, [Dense(n_inputs), head], optimizer=optimizer, batch_size=8)
        stated = net.memory()
        taken = stated.weights + stated.optimizer + stated.hashes
        assert net.memory_bytes == pytest.approx(taken, rel=0.01)
        return stated

    whole, halves = made("float32"), made("bfloat16")
    assert halves.optimizer == whole.optimizer
    padded = [-(-n // unit) * unit for n, unit in ((n_inputs + 1, 16), (n_inputs, 32))]
    assert whole.weights - halves.weights == 6000 * (4 * padded[0] - 2 * padded[1] - 4)


def test_words_and_numbers_say_the_same():
    stated = Memory(weights=3 * MIB, optimizer=6 * MIB, hashes=0, tables=0, examples=1024)
    assert str(stated) == "9.0 MiB (weights 3.0 MiB, optimizer 6.0 MiB, examples 1.0 KiB)"
    assert stated.to_dict()["total"] == 9 * MIB + 1024


GROWTH = """
import os, sys
import numpy as np
from pathlib import Path
from hashgrad import LSH, Dense, Network

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

os.environ["HASHGRAD_CALIBRATION"] = "off"
pooled, n = sys.argv[1] == "pooled", 200_000
random = np.random.default_rng(0)
X = random.normal(size=(64, 32)).astype(np.float32)
y = random.integers(n, size=(64, 1)).tolist()
head = LSH(4 / n, lookup="scan", pooled=True) if pooled else None
settings = {"optimizer": "momentum", "loss": "logistic", "batch_size": 16}
Network(32, [Dense(128), Dense(9)], **settings).fit(X, [[0]] * 64, epochs=1)
before = resident()
net = Network(32, [Dense(128), Dense(n, active=head, layout="neuron")], **settings)
net.fit(X, y, epochs=1)
net.predict_topk(X[:8], 5)
print(resident() - before, net.memory().total)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="a sanitizer's own memory comes on top")
@pytest.mark.parametrize("kind", ["dense", "pooled"])
def test_a_large_network_grows_the_process_by_what_was_stated(kind):
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, kind], capture_output=True, text=True, check=True
    )
    grown, stated = map(int, done.stdout.split())
    assert grown == pytest.approx(stated, rel=0.15), (grown / MIB, stated / MIB)


# ---- the refusal ---------------------------------------------------------------------------------


@pytest.fixture
def little(monkeypatch):
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 10 * MIB)


def test_a_network_without_room_is_refused_and_nothing_is_allocated(little, monkeypatch):
    monkeypatch.setattr(_core, "Network", lambda *_: pytest.fail("allocated"))
    message = (
        r"layers must fit in memory, got 100-30000-9, which takes .* MiB \(weights .* MiB, "
        r"optimizer .* MiB, examples .*\), with 10.0 MiB available"
    )
    with pytest.raises(MemoryError, match=message):
        Network(100, [Dense(30_000), Dense(9)], optimizer=Adam())


def test_room_is_asked_for_to_the_byte(monkeypatch):
    layers = [Dense(30_000), Dense(9)]
    total = needed(100, layers, SGD()).total
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: total)
    Network(100, layers)
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: total - 1)
    with pytest.raises(MemoryError):
        Network(100, layers)


def test_optimizer_batches_and_hashes_count(little):
    Network(100, [Dense(10_000), Dense(9)])
    for settings in ({"optimizer": Adam()}, {"batch_size": 1000}):
        with pytest.raises(MemoryError, match=r"10\.0 MiB available"):
            Network(100, [Dense(10_000), Dense(9)], **settings)
    with pytest.raises(MemoryError, match=r"hashes .* tables .* available"):
        Network(100, [Dense(10_000, active=LSH(lookup="tables")), Dense(9)])
    Network(100, [Dense(10_000), Dense(9)], optimizer=RowAdagrad())


def test_where_nobody_knows_the_core_is_asked(monkeypatch):
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: None)
    Network(10, [Dense(3)])

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(_core, "Network", full)
    with pytest.raises(MemoryError, match=r"got 10-3, which takes .* B \(weights .*\)$"):
        Network(10, [Dense(3)])


def test_labels_without_room_are_refused_and_the_network_stays_as_it_was(monkeypatch):
    net = network(Dense(8))
    before = to_bytes(net)
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 10 * MIB)
    with pytest.raises(MemoryError, match="got 24-8-1000004, which takes"):
        net.add_labels(1_000_000)
    assert to_bytes(net) == before


def test_a_file_without_room_is_refused_from_its_header(tmp_path, monkeypatch):
    Network(100, [Dense(30_000), Dense(9)]).save(tmp_path / "net")
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 10 * MIB)
    with pytest.raises(MemoryError, match="got 100-30000-9"):
        hashgrad.load(tmp_path / "net")


# ---- what there is -------------------------------------------------------------------------------

V2 = {"limit": "memory.max", "used": "memory.current", "spare": "inactive_file"}
V1 = {
    "limit": "memory.limit_in_bytes",
    "used": "memory.usage_in_bytes",
    "spare": "total_inactive_file",
}


def group(folder, version, limit, used, spare=0):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / version["limit"]).write_text(f"{limit}\n")
    (folder / version["used"]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{version['spare']} {spare}\nlast 7\n")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_ROOT", tmp_path)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 4000 kB\n")
    return tmp_path


def member(root, *lines):
    (root / "proc/self/cgroup").write_text("\n".join(lines) + "\n")
    return root / "sys/fs/cgroup"


def test_without_groups_it_is_what_the_machine_has_left(root):
    assert available_memory_bytes() == 4000 * 1024
    member(root, "0::/user.slice")
    assert available_memory_bytes() == 4000 * 1024


def test_a_group_that_limits_memory_limits_it(root):
    groups = member(root, "0::/outer/inner")
    group(groups / "outer/inner", V2, 1_000_000, 700_000, spare=100_000)
    assert available_memory_bytes() == 400_000
    group(groups / "outer/inner", V2, "max", 700_000)
    assert available_memory_bytes() == 4000 * 1024


def test_so_does_a_group_around_it_and_the_one_that_a_container_sees_as_the_root(root):
    groups = member(root, "0::/outer/inner")
    group(groups / "outer/inner", V2, "max", 1)
    group(groups / "outer", V2, 300_000, 100_000)
    assert available_memory_bytes() == 200_000
    group(groups, V2, 150_000, 100_000)
    assert available_memory_bytes() == 50_000


def test_groups_of_the_first_version_are_known_too(root):
    groups = member(root, "5:cpu,cpuacct:/box", "4:memory:/box", "0::/")
    group(groups / "memory/box", V1, 2**20, 2**19, spare=2**18)
    group(groups / "memory", V1, 2**63 - 4096, 2**30)
    assert available_memory_bytes() == 2**19 + 2**18


def test_a_group_above_its_limit_has_nothing_left(root):
    group(member(root, "0::/"), V2, 1000, 5000)
    assert available_memory_bytes() == 0


def test_a_system_that_says_nothing_is_not_asked_again(root):
    (root / "proc/meminfo").unlink()
    assert available_memory_bytes() is None
    (root / "proc/meminfo").write_text("MemTotal: 9000 kB\n")
    assert available_memory_bytes() is None


# ---- the command line ----------------------------------------------------------------------------


def test_training_states_it_and_a_model_file_tells_it(capsys, tmp_path):
    run = caller(capsys)
    words = ("train", "digits", "--hidden", 40, "--epochs", 1, "--output", tmp_path / "model")
    answer = run(*words)
    assert "\nmemory " in answer.out
    assert "(weights " in answer.out
    model = hashgrad.load(tmp_path / "model")
    assert run("info", tmp_path / "model", "--json", "-").json["memory"] == model.memory().to_dict()
    assert str(model.memory()) in " ".join(run("info", tmp_path / "model").out.split())


def test_training_without_room_ends_with_a_line(capsys, monkeypatch):
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: MIB)
    complaint = caller(capsys)("train", "digits", "--hidden", "9000").complaint
    assert "layers must fit in memory, got 64-9000-10, which takes" in complaint
    assert "1.0 MiB available" in complaint
