"""A file cut short or altered is refused with a clear error, before anything large is allocated."""

import json
import pathlib
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hashgrad
from conftest import from_bytes, hashed, network, to_bytes
from hashgrad import Constant, Dense
from hashgrad.files import LONGEST_METADATA, from_parts, parts, read_header


@pytest.fixture(scope="module")
def saved():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(60, 24)).astype(np.float32), random.integers(4, size=60)
    net = network(hashed(16, lookup="tables"), Dense(8), optimizer="momentum", schedule=Constant())
    saved = []
    fit = {"validation": 0.3, "early_stopping": 2, "epochs": 9}
    net.fit(X, y, **fit, callbacks=[lambda record: saved.append(to_bytes(net)) or True])
    return saved[0]  # with the best epoch's tensors in it


def apart(data):
    """The header, the metadata in it, and the tensors' bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["hashgrad"]), data[8 + length :]


def whole(header, metadata, rest):
    header = {**header, "__metadata__": {"hashgrad": json.dumps(metadata)}}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def set_at(tree, path, value):
    *branch, leaf = path
    for key in branch:
        tree = tree[key]
    if value is DELETE:
        del tree[leaf]
    else:
        tree[leaf] = value


DELETE = object()
WHOLE = "must be a whole safetensors file, got: "
COVERED = "not fully covered|IncompleteBuffer"  # the library's words, new and old


def test_taking_a_file_apart_and_putting_it_together_gives_the_same_network(saved):
    assert to_bytes(from_bytes(whole(*apart(saved)))) == saved


def test_a_file_cut_short_anywhere_is_refused(saved):
    length = 8 + int.from_bytes(saved[:8], "little")
    header, _, _ = apart(saved)
    ends = [length + e["data_offsets"][1] for n, e in header.items() if n != "__metadata__"]
    boundaries = {0, 1, 7, 8, 9, 10, length - 1, length, length + 1, *ends}
    boundaries |= {end - 1 for end in ends} | set(range(0, len(saved), len(saved) // 50))
    for cut in sorted(boundaries - {len(saved)}):
        with pytest.raises(ValueError, match="not a valid hashgrad model"):
            from_bytes(saved[:cut])


@pytest.mark.parametrize("more", [b"x", b"\0" * 4096])
def test_a_file_with_something_behind_it_is_refused(saved, more):
    with pytest.raises(ValueError, match=f"{WHOLE}.*{COVERED}"):
        from_bytes(saved + more)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", WHOLE + ".*header ?too ?small"),
        (b"\0" * 7, WHOLE + ".*header ?too ?small"),
        (b"\0" * 8, WHOLE),
        (b"\xff" * 64, WHOLE + ".*header ?too ?large"),
        ((2**33).to_bytes(8, "little") + b"{}", WHOLE + ".*header ?too ?large"),
        ((99).to_bytes(8, "little") + b"{}", WHOLE + ".*header ?length"),
        ((2).to_bytes(8, "little") + b"[]", WHOLE),
        ((2).to_bytes(8, "little") + b"{}", "must have the key 'hashgrad', got a file of another"),
        ((4).to_bytes(8, "little") + b"\xff\xfe{}", WHOLE),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, WHOLE),
        ((100_000).to_bytes(8, "little") + b'{"a":' * 20_000, WHOLE),
        ((13).to_bytes(8, "little") + b'{"a":1,"a":2}', WHOLE),
        ((9).to_bytes(8, "little") + b'{"a":NaN}', WHOLE),
        (b"PK\x03\x04" + b"\0" * 100, WHOLE),
    ],
)
def test_what_is_no_model_file_is_refused(data, message, tmp_path):
    (tmp_path / "net").write_bytes(data)
    with pytest.raises(ValueError, match=f"(?i){message}") as caught:
        hashgrad.load(tmp_path / "net")
    assert str(tmp_path / "net") in str(caught.value)


def test_a_tensor_named_twice_is_refused(saved):
    length = int.from_bytes(saved[:8], "little")
    text = saved[8 : 8 + length].rstrip()[:-1]
    text += b',"layers.0.bias":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    with pytest.raises(ValueError, match="not a valid hashgrad model"):
        from_bytes(len(text).to_bytes(8, "little") + text + saved[8 + length :])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "metadata must be JSON"),
        ("[]", "metadata must be a JSON object"),
        ("{", "metadata must be JSON"),
        ("[" * 100_000, "metadata must not be nested so deeply"),
        ('{"a": 1, "a": 2}', "metadata must not repeat a key"),
        ('{"a": NaN}', "metadata must hold finite numbers, got NaN"),
        ('{"a": -Infinity}', "metadata must hold finite numbers, got -Infinity"),
        (" " * (LONGEST_METADATA + 1), "metadata must have at most 33554432 characters, got"),
    ],
)
def test_metadata_that_is_no_json_object_is_refused(saved, tmp_path, text, message):
    header, _, rest = apart(saved)
    header["__metadata__"]["hashgrad"] = text
    encoded = json.dumps(header).encode()
    (tmp_path / "net").write_bytes(len(encoded).to_bytes(8, "little") + encoded + rest)
    for read in (hashgrad.load, read_header):
        with pytest.raises(ValueError, match=message) as caught:
            read(tmp_path / "net")
        assert str(tmp_path / "net") in str(caught.value)


SPEC = ("specification",)
METADATA = [
    (("format",), 2, "its format must be 4, got 2, written by version"),
    (("format",), "1", "its format must be 4, got '1'"),
    (("format",), DELETE, "its format must be 4, got None"),
    (("version",), 3, "version must be of type str"),
    (("suprise",), 3, "a key of metadata must be one of"),
    (("history",), DELETE, "metadata must have the key 'history'"),
    (("history",), [3], "history must be a list of objects with an epoch"),
    (("history", 0, "epoch"), "one", "history must be a list of objects with an epoch"),
    (("extra",), [], "extra must be of type dict"),
    (("checksums",), [], "checksums must be an object"),
    (("checksums", "layers.0.bias"), DELETE, "checksums must name the file's tensors, got 'layers"),
    (("checksums", "layers.9.bias"), 3, "checksums must name the file's tensors, got 'layers.9"),
    (("checksums", "layers.0.bias"), -1, r"checksums.layers.0.bias must be in \[0, 2\*\*32\)"),
    (("checksums", "layers.0.bias"), 2**32, r"bias must be in \[0, 2\*\*32\), got 4294967296"),
    (("checksums", "layers.0.bias"), True, r"must be in \[0, 2\*\*32\), got True"),
    (("retired",), 3, "retired must be a list of integers, got 3"),
    (("retired",), [True], "retired must be a list of integers"),
    (("retired",), [2, 1], r"retired must ascend, got \[2, 1\]"),
    (("retired",), [1, 1], "retired must ascend"),
    (("retired",), [5], r"retired must hold labels from 0 to 4, got \[5\]"),
    (("retired",), [-1], "retired must hold labels from 0 to 4"),
    (SPEC, [], "specification must be an object"),
    ((*SPEC, "n_inputs"), 25, "tensor 'layers.0.weight' must be float32"),
    ((*SPEC, "n_inputs"), 2**31 - 1, "tensor 'layers.0.weight' must be float32"),
    ((*SPEC, "n_inputs"), 2**62, "n_inputs must be an integer in"),
    ((*SPEC, "n_inputs"), 24.0, "n_inputs must be an integer"),
    ((*SPEC, "loss"), "softmx", "did you mean 'softmax'"),
    ((*SPEC, "loss"), DELETE, "specification must have the key 'loss'"),
    ((*SPEC, "los"), 1, "a key of specification must be one of .*did you mean 'loss'"),
    ((*SPEC, "seed"), -1, "seed must be an integer in"),
    ((*SPEC, "batch_size"), 0, "batch_size must be an integer in"),
    ((*SPEC, "l2"), -1, "l2 must be >= 0"),
    ((*SPEC, "l2"), 1e400, "Infinity|inf"),
    ((*SPEC, "layers"), [], "layers must have at least one layer"),
    ((*SPEC, "layers"), {}, "layers must be a list"),
    ((*SPEC, "layers", 0), 3, r"layers\[0\] must be an object"),
    ((*SPEC, "layers", 0, "n"), 17, "tensor 'layers.0.weight' must be float32"),
    ((*SPEC, "layers", 0, "n"), 0, "n must be an integer in"),
    ((*SPEC, "layers", 2), DELETE, r"layers\[1\].activation must be 'linear'"),
    ((*SPEC, "layers", 0, "activation"), "swish", "activation must be one of"),
    ((*SPEC, "layers", 2, "activation"), "relu", r"layers\[2\].activation must be 'linear'"),
    ((*SPEC, "layers", 0, "active", "name"), "lhs", "did you mean 'lsh'"),
    ((*SPEC, "layers", 0, "active", "name"), "random", "a key of layers.*must be one of"),
    ((*SPEC, "layers", 0, "active", "fraction"), 1.5, r"fraction must be in \(0, 1\], got 1.5"),
    ((*SPEC, "layers", 0, "active", "tables"), 0, "tables must be an integer in"),
    ((*SPEC, "layers", 0, "active", "tables"), 128, "tensor 'layers.0.lsh.* must be"),
    ((*SPEC, "layers", 0, "active", "bits"), 40, "bits must be an integer in"),
    ((*SPEC, "layers", 0, "active", "probes"), 200, r"probes must be at most 2\*\*bits"),
    ((*SPEC, "layers", 0, "active", "center"), 1, "center must be True or False"),
    (
        (*SPEC, "optimizer", "name"),
        "adam",
        "optimizer must have the key 'beta1'|a key of optimizer",
    ),
    ((*SPEC, "optimizer"), {"name": "sgd", "rate": 1.0}, "no tensors but the network's"),
    ((*SPEC, "optimizer", "rate"), 0, "rate must be > 0, got 0"),
    ((*SPEC, "schedule", "warmup"), None, "warmup must be a number"),
    (("core", "step"), -1, "core.step must be"),
    (("core", "step"), "many", "core.step must be a number"),
    (("core", "step"), 1e300, "core.step must be"),
    (("core", "step"), DELETE, "must hold a count for 'step'"),
    (("core", "rebuild_interval"), 0, "rebuild_interval must be at least 1"),
    (("core", "built"), 0, "no tensors but the network's, got 'best.layers.0.lsh"),
    (("core",), 3, "core must be an object"),
    (("counts", "examples"), -1, "counts.examples must be"),
    (("counts", "layers"), [], "counts.layers must have 3 entries"),
    (("counts", "layers", 0, "query"), 1.5, "counts.layers.query must be an integer"),
    (("counts", "layers", 0, "query"), DELETE, "counts.layers must have the key 'query'"),
    (("counts", "layers", 0), 1, "counts.layers must be objects"),
    (("training",), 3, "training must be an object"),
    (("training", "epochs"), -1, "epochs must be an integer"),
    (("training", "position"), 10**6, "position must be at most rows=42"),
    (("training", "best_epoch"), 0, "no tensors but the network's, got 'best.layers"),
    (("training", "loss_sum"), "much", "loss_sum must be a number"),
    (("training", "clock"), 1, "a key of training must be one of"),
    (("training", "epoch_counts"), [], "epoch_counts must be an object"),
]


@pytest.mark.parametrize(("path", "value", "message"), METADATA)
def test_altered_metadata_is_refused(saved, path, value, message):
    header, metadata, rest = apart(saved)
    set_at(metadata, path, value)
    with pytest.raises(ValueError, match=message):
        from_bytes(whole(header, metadata, rest))


W = "layers.0.weight"
HEADER = [
    ((W,), DELETE, WHOLE),
    ((W,), 3, WHOLE),
    ((W, "dtype"), "F16", WHOLE),
    ((W, "dtype"), "F7", WHOLE),
    ((W, "dtype"), ["F32"], WHOLE),
    ((W, "dtype"), DELETE, WHOLE),
    ((W, "dtype"), "I32", "'layers.0.weight' must be float32 .* got I32"),
    ((W, "shape"), [24, 16], r"must be float32 \(16, 24\), got float32 \(24, 16\)"),
    ((W, "shape"), [384], r"must be float32 \(16, 24\), got float32 \(384,\)"),
    ((W, "shape"), [16, 25], WHOLE),
    ((W, "shape"), [-16, -24], WHOLE),
    ((W, "shape"), [16.0, 24], WHOLE),
    ((W, "shape"), [True, 384], WHOLE),
    ((W, "shape"), [2**62, 2**62], WHOLE),
    ((W, "shape"), [2**64, 24], WHOLE),
    ((W, "shape"), "16", WHOLE),
    ((W, "shape"), DELETE, WHOLE),
    ((W, "data_offsets"), [0, 2**63], WHOLE),
    ((W, "data_offsets"), [0], WHOLE),
    ((W, "data_offsets"), [1536, 0], WHOLE),
    ((W, "data_offsets"), [0, 1535], WHOLE),
    ((W, "data_offsets"), [10**9, 10**9 + 1536], WHOLE),
    (("__metadata__",), DELETE, "must have the key 'hashgrad'"),
    (("__metadata__",), 3, WHOLE),
    (("__metadata__", "hashgrad"), 3, WHOLE),
    (
        ("layers.9.weight",),
        {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
        "no tensors but",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), HEADER)
def test_an_altered_header_is_refused(saved, path, value, message):
    header, _, rest = apart(saved)
    set_at(header, path, value)
    text = json.dumps(header).encode()
    with pytest.raises(ValueError, match=message):
        from_bytes(len(text).to_bytes(8, "little") + text + rest)


def test_a_specification_larger_than_its_file_allocates_nothing(saved):
    header, metadata, rest = apart(saved)
    metadata["specification"]["layers"][0]["n"] = 2**31 - 1
    header[W]["shape"] = [2**31 - 1, 24]
    data = whole(header, metadata, rest)
    tracemalloc.start()
    with pytest.raises(ValueError, match=WHOLE):
        from_bytes(data)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@settings(max_examples=150, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), data=st.data())
def test_a_flipped_bit_in_the_header_never_does_worse_than_an_error(saved, where, bit, data):
    length = 8 + int.from_bytes(saved[:8], "little")
    altered = bytearray(saved)
    altered[int(where * length)] ^= 1 << bit
    try:
        net = from_bytes(bytes(altered))
    except ValueError as error:
        assert "not a valid hashgrad model" in str(error)  # noqa: PT017 - either way is fine
    else:
        assert net.predict_proba(np.ones((2, 24))).shape == (2, 4)


def test_a_flipped_bit_in_a_tensor_is_refused_with_the_files_and_the_tensors_name(saved, tmp_path):
    length = 8 + int.from_bytes(saved[:8], "little")
    header, _, _ = apart(saved)
    del header["__metadata__"]
    assert {"layers.0.weight", "best.layers.0.weight", "layers.0.lsh.sketch"} <= set(header)
    for name, entry in header.items():
        first, end = (length + at for at in entry["data_offsets"])
        for at, bit in ((first, 0), ((first + end) // 2, 3), (end - 1, 7)):
            altered = bytearray(saved)
            altered[at] ^= 1 << bit
            (tmp_path / "net").write_bytes(altered)
            with pytest.raises(ValueError, match=f"tensor {name!r} is damaged: its CRC") as caught:
                hashgrad.load(tmp_path / "net")
            assert str(tmp_path / "net") in str(caught.value)


def test_a_file_of_before_there_were_checksums_loads_and_gets_them(saved):
    header, metadata, rest = apart(saved)
    assert metadata["checksums"].keys() == header.keys() - {"__metadata__"}
    del metadata["checksums"]
    assert to_bytes(from_bytes(whole(header, metadata, rest))) == saved


def test_a_pickle_with_a_flipped_bit_is_refused(saved):
    read, (data,), *_ = from_bytes(saved).__reduce__()
    altered = bytearray(data)
    altered[-1] ^= 1
    with pytest.raises(ValueError, match=r"data is not a valid hashgrad model: tensor .* damaged"):
        read(bytes(altered))


def test_a_specification_larger_than_its_tensors_allocates_nothing(saved):
    header, metadata, rest = apart(saved)
    metadata["specification"]["layers"][0]["n"] = 2**31 - 1
    data = whole(header, metadata, rest)
    with pytest.raises(ValueError, match=r"must be float32 \(2147483647, 24\), got float32 \(16,"):
        from_bytes(data)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("layers.0.weight", np.zeros((16, 24)), r"must be float32 \(16, 24\), got float64 \(16"),
        ("layers.0.weight", np.zeros((24, 16), np.float32), r"got float32 \(24, 16\)"),
        ("layers.0.weight", None, "must hold the tensor 'layers.0.weight', got none"),
        ("layers.9.weight", np.zeros(1, np.float32), "no tensors but the network's"),
    ],
)
def test_a_pickled_networks_parts_are_checked_as_a_files(saved, name, tensor, message):
    text, tensors = parts(from_bytes(saved))
    assert to_bytes(from_parts(text, tensors)) == saved
    tensors.pop(name, None)
    if tensor is not None:
        tensors[name] = tensor
    with pytest.raises(ValueError, match=message):
        from_parts(text, tensors)
    with pytest.raises(ValueError, match="metadata must be a JSON object"):
        from_parts("[]", tensors)


def test_a_path_object_and_a_string_name_the_same_file(saved, tmp_path):
    path = pathlib.Path(tmp_path) / "net"
    path.write_bytes(saved)
    assert to_bytes(hashgrad.load(path)) == to_bytes(hashgrad.load(str(path))) == saved
