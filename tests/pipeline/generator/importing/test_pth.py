"""Files from elsewhere: code in them never runs, damage is named, and only numbers come out."""

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from flowreel.pipeline.generator.importing.feature_tables import read_features
from flowreel.pipeline.generator.importing.pth import read_pth
from flowreel.schemas.errors import CheckpointError

STATE = OrderedDict({"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)})


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.place),)


def refused(file: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_pth(file, "latest_net_G0.pth")
    message = str(caught.value)
    assert message.startswith("latest_net_G0.pth")
    return message


def saved(file: Path, what: object, legacy: bool = False) -> Path:
    torch.save(what, file, _use_new_zipfile_serialization=not legacy)
    return file


# Weights


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_come_back(tmp_path: Path, legacy: bool) -> None:
    weights = read_pth(saved(tmp_path / "a.pth", STATE, legacy), "a.pth")
    assert list(weights.tensors) == list(STATE)
    assert all(torch.equal(weights.tensors[key], value) for key, value in STATE.items())
    assert weights.parameters == 8 and not weights.unwrapped


def test_statistics_are_left_out(tmp_path: Path) -> None:
    found = nn.BatchNorm2d(2).state_dict()
    assert list(read_pth(saved(tmp_path / "a.pth", found), "a.pth").tensors) == ["weight", "bias"]


@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_refused_and_not_run(tmp_path: Path, legacy: bool) -> None:
    trap = Trap(tmp_path / "sprung")
    message = refused(saved(tmp_path / "a.pth", {**STATE, "evil": trap}, legacy))
    assert "contains code: loading it would call posix.mkdir. It was refused and nothing was run." in message
    assert not trap.place.exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    trap = Trap(tmp_path / "sprung")
    (tmp_path / "a.pth").write_bytes(pickle.dumps(trap))
    assert "posix.mkdir" in refused(tmp_path / "a.pth")
    assert not trap.place.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickled_network_says_how_to_save_its_weights(tmp_path: Path, legacy: bool) -> None:
    message = refused(saved(tmp_path / "a.pth", nn.Sequential(nn.Conv2d(1, 1, 1)), legacy))
    assert "contains code: loading it would call torch.nn.modules.container.Sequential" in message
    assert "torch.save(network.state_dict(), FILE)" in message


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("share", [0.98, 0.6, 0.3])
def test_a_file_cut_short_is_said_to_be(tmp_path: Path, legacy: bool, share: float) -> None:
    file = saved(tmp_path / "a.pth", STATE, legacy)
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    assert "is cut short" in refused(file)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty; download or copy it again"),
        (b"these are not the weights", "is no PyTorch file but text ('these are not the we'...)"),
        (b'{"ngf": 128}', "is no PyTorch file but JSON"),
        (b"\x89PNG\r\n\x1a\n and so on", "but a PNG image"),
        (b"\n<!DOCTYPE html><html>sign in", "but HTML or XML, perhaps a download page in place of the file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "but a Git LFS pointer"),
        (b"\x00\x01\x02\xff", "but something that begins with b'\\x00\\x01\\x02\\xff'"),
        (b"\x80\x02}q\x00.", "is damaged, or was not written by torch.save"),
    ],
)
def test_other_files_are_told_apart(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.pth").write_bytes(data)
    assert said in refused(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([STATE], "holds a list, not a state_dict"),
        ({}, "holds an empty state_dict"),
        ({"epoch": 3}, "entry 'epoch' is a int, not a tensor"),
        ({"net": dict(STATE)}, "entry 'net' is a dict, not a tensor; if the weights lie in there"),
        ({3: torch.ones(1)}, "the name 3 is a int, not text"),
        ({"a": torch.ones(2, dtype=torch.int64)}, "entry 'a' has type torch.int64; weights are floating-point numbers"),
        ({"a": torch.eye(2).to_sparse()}, "entry 'a' is sparse, quantised or empty"),
        ({"a": torch.ones(2, device="meta")}, "entry 'a' is sparse, quantised or empty"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object, said: str) -> None:
    assert said in refused(saved(tmp_path / "a.pth", content))


# Feature tables


def npy(tmp_path: Path, content: object) -> bytes:
    np.save(tmp_path / "features.npy", np.array(content, object), allow_pickle=True)
    return (tmp_path / "features.npy").read_bytes()


def with_header(data: bytes) -> bytes:
    """A pickle as `np.save` of other versions may write it."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


TABLES = {0: np.arange(12, dtype=np.float32).reshape(3, 4), 1: np.full((2, 4), 0.25, np.float32)}


def check_tables(found: dict[int, np.ndarray]) -> None:
    assert list(found) == [0, 1]
    for label, table in TABLES.items():
        assert found[label].dtype == np.float32
        assert np.array_equal(found[label], table[:, :-1])


def test_tables_come_without_their_last_column(tmp_path: Path) -> None:
    check_tables(read_features(npy(tmp_path, TABLES), "features.npy"))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_tables_of_any_pickle_protocol(protocol: int, kind: type) -> None:
    content: dict[np.int64, np.ndarray] = {
        np.int64(label): np.asfortranarray(table.astype(kind)) for label, table in TABLES.items()
    }
    check_tables(read_features(with_header(pickle.dumps(np.array(content, object), protocol)), "features.npy"))


def test_tables_written_by_old_numpy() -> None:
    """NumPy before 2 calls its modules otherwise; names of equal length, so that the pickle stays whole."""
    data = pickle.dumps(np.array(TABLES, object), 2).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in data
    check_tables(read_features(with_header(data), "features.npy"))


def test_code_in_tables_is_refused_and_not_run(tmp_path: Path) -> None:
    for name, content in (("first", Trap(tmp_path / "first")), ("second", {0: Trap(tmp_path / "second")})):
        with pytest.raises(CheckpointError) as caught:
            read_features(npy(tmp_path, content), "features.npy")
        assert "features.npy contains code: loading it would call posix.mkdir. It was refused" in str(caught.value)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("call", ["builtins.eval", "os.system", "numpy.load", "numpy.core.multiarray.fromfile"])
def test_only_what_arrays_need_is_known(call: str) -> None:
    module, _, name = call.rpartition(".")
    with pytest.raises(CheckpointError, match=f"would call {call}"):
        read_features(with_header(f"c{module}\n{name}\n(S'1'\ntR.".encode()), "features.npy")


def test_the_array_class_cannot_be_called() -> None:
    """It would take memory for any shape that a file asks for."""
    with pytest.raises(CheckpointError, match="cut short, or no features"):
        read_features(with_header(b"cnumpy\nndarray\n((I1\nI1\ntt\x81."), "features.npy")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "holds no dictionary of part labels and tables"),
        ([1, 2], "not a dictionary of tables"),
        ({0: TABLES[0], 2: TABLES[1]}, "has tables for the part labels [0, 2]; they must be 0, 1, 2"),
        ({"nose": TABLES[0]}, "'nose' is no part label"),
        ({0: TABLES[0], 1: TABLES[1][:, :3]}, "tables of [3, 4] columns"),
        ({0: TABLES[0][:, 0]}, "part label 0: an array (3,) of float32"),
        ({0: TABLES[0] * np.nan}, "part label 0: NaN or infinite values"),
        ({0: TABLES[0][:0]}, "part label 0: a table (0, 4)"),
        ({0: TABLES[0].astype(object)}, "part label 0: damaged, or no table of numbers: numbers of type |O8"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_features(npy(tmp_path, content), "features.npy")
    assert said in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"no array", npy.__name__.encode(), b"\x93NUMPY\x01\x00"])
def test_no_tables_at_all(data: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"features\.npy is cut short, or no features\.npy"):
        read_features(data, "features.npy")


def test_tables_cut_short(tmp_path: Path) -> None:
    data = npy(tmp_path, TABLES)
    for length in (len(data) - 1, len(data) // 2, 150):
        with pytest.raises(CheckpointError, match="is cut short"):
            read_features(data[:length], "features.npy")
