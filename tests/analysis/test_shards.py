"""A shard is there whole or not at all, and a damaged one is noticed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.shards import FolderShards, MemoryShards, Shard, ShardStore


def example(value: float = 1.5) -> Shard:
    return Shard(
        {
            "counts": np.arange(12, dtype=np.uint16).reshape(3, 4),
            "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
            "empty": np.zeros((0, 5), dtype=np.int64),
            "scalar": np.asarray(value),
            "mask": np.array([True, False]),
        },
        {"prompts": ["a", "b"], "seconds": 0.1 + 0.2, "nested": {"layer": 3}},
    )


def never() -> Shard:
    raise AssertionError("computed a shard that is stored")


def assert_same(left: Shard, right: Shard) -> None:
    assert left.meta == right.meta
    assert left.arrays.keys() == right.arrays.keys()
    for name, array in left.arrays.items():
        np.testing.assert_array_equal(array, right.arrays[name], strict=True)


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_what_is_read_back_is_what_was_computed(tmp_path: Path) -> None:
    computed = FolderShards(tmp_path).once("capture-0003", example)
    assert_same(FolderShards(tmp_path).once("capture-0003", never), computed)
    assert files(tmp_path) == ["capture-0003.safetensors"]


@pytest.mark.parametrize("store", ["memory", "folder"])
def test_a_shard_is_computed_once(tmp_path: Path, store: str) -> None:
    shards: ShardStore = MemoryShards() if store == "memory" else FolderShards(tmp_path)
    shards.once("a", example)
    assert_same(shards.once("a", never), example())


def test_meta_reads_the_same_before_and_after_the_file(tmp_path: Path) -> None:
    shard = FolderShards(tmp_path).once("a", lambda: Shard(meta={"pair": (1, 2), "by_layer": {3: "x"}}))
    assert shard.meta == {"pair": [1, 2], "by_layer": {"3": "x"}}
    assert FolderShards(tmp_path).once("a", never).meta == shard.meta


def test_the_digest_sees_names_types_shapes_and_meta() -> None:
    def digest(name: str = "x", dtype: str = "<i4", shape: tuple[int, ...] = (4,), meta: int = 0) -> str:
        return Shard({name: np.zeros(shape, dtype=dtype)}, {"meta": meta}).sha256

    digests = [digest(), digest(name="y"), digest(dtype="<f4"), digest(shape=(2, 2)), digest(meta=1)]
    assert len(set(digests)) == len(digests)
    assert digest() == digest()


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize("position", [0, 9, 40, -1], ids=["length", "header", "names", "values"])
def test_a_flipped_bit_anywhere_is_noticed_and_the_shard_computed_again(tmp_path: Path, position: int) -> None:
    FolderShards(tmp_path).once("a", example)
    flip(tmp_path / "a.safetensors", position)
    told: list[tuple[str, str]] = []
    shards = FolderShards(tmp_path, damaged=lambda key, reason: told.append((key, reason)))
    assert_same(shards.once("a", example), example())
    assert [key for key, _ in told] == ["a"]
    assert_same(FolderShards(tmp_path).once("a", never), example())


def test_every_single_byte_counts(tmp_path: Path) -> None:
    """Whatever byte is hit, the reader gives back the truth or nothing."""
    shards = FolderShards(tmp_path, damaged=lambda key, reason: None)
    shards.write("a", Shard({"x": np.arange(3, dtype=np.int8)}, {"n": 1}))
    path = tmp_path / "a.safetensors"
    whole = path.read_bytes()
    for position in range(len(whole)):
        flip(path, position)
        read = shards.read("a")
        assert read is None or (read.meta == {"n": 1} and read.arrays["x"].tolist() == [0, 1, 2]), position
        path.write_bytes(whole)


@pytest.mark.parametrize("keep", [0, 5, 100])
def test_a_cut_off_file_is_noticed(tmp_path: Path, keep: int, caplog: pytest.LogCaptureFixture) -> None:
    FolderShards(tmp_path).once("a", example)
    path = tmp_path / "a.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    assert_same(FolderShards(tmp_path).once("a", example), example())
    assert "shard a is damaged" in caplog.text


def test_a_failure_while_computing_stores_nothing(tmp_path: Path) -> None:
    shards = FolderShards(tmp_path / "shards")
    with pytest.raises(AssertionError):
        shards.once("a", never)
    assert not (tmp_path / "shards").exists()


def test_a_shard_that_cannot_be_written_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"(?i)dtype|object"):
        FolderShards(tmp_path).once("a", lambda: Shard({"x": np.array(["text"], dtype=object)}))
    assert files(tmp_path) == []


@pytest.mark.parametrize("key", ["", "../a", "a/b", ".hidden", "a b"])
def test_a_key_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="shard key"):
        FolderShards(tmp_path).once(key, example)


WORK = """
import sys, time
from pathlib import Path
import numpy as np
from analysis.shards import FolderShards, Shard
shards = FolderShards(Path(sys.argv[1]))
for index in range(int(sys.argv[2])):
    def compute():
        print(f"computing {index}", flush=True)
        time.sleep(float(sys.argv[3]))
        return Shard({"x": np.full(1000, index)}, {"index": index})
    shards.once(f"part-{index:04d}", compute)
print("done", flush=True)
"""


def start(folder: Path, count: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORK, str(folder), str(count), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_after_kill_minus_nine_the_next_process_goes_on_from_the_last_shard(tmp_path: Path) -> None:
    with start(tmp_path, 5, 0.2) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line == "computing 3\n":
                os.kill(first.pid, signal.SIGKILL)
                break
    finished = [f"part-{index:04d}.safetensors" for index in range(3)]
    assert files(tmp_path) == finished
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in finished}

    with start(tmp_path, 5, 0.0) as second:
        assert second.stdout is not None
        assert second.stdout.read().splitlines() == ["computing 3", "computing 4", "done"]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in finished} == before
    shard = FolderShards(tmp_path).once("part-0004", never)
    assert shard.arrays["x"].tolist() == [4] * 1000
