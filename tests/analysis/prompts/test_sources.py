import os
import socket

import pytest

from analysis.errors import InputError, NotFoundError, PromptFileError, TooLargeError
from analysis.prompts import load_prompts


def test_a_file_is_read_and_named_after_itself(tmp_path):
    file = tmp_path / "Red team.csv"
    file.write_text("prompt,label\nHello,benign\n")
    prompts = load_prompts(str(file))
    assert (prompts.name, [prompt.text for prompt in prompts]) == ("Red team", ["Hello"])


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFoundError, match=r"there is no file '.*gone\.csv'; expected a prompt file"):
        load_prompts(str(tmp_path / "gone.csv"))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="is a folder; expected a prompt file"):
        load_prompts(str(tmp_path))


def test_a_device_is_refused_instead_of_read_for_ever():
    with pytest.raises(InputError, match="not a regular file"):
        load_prompts("/dev/zero")


def test_a_path_that_no_file_system_allows_is_not_found():
    with pytest.raises((NotFoundError, InputError)):
        load_prompts("bad\0name.csv")
    with pytest.raises((NotFoundError, InputError)):
        load_prompts("x" * 5000 + ".csv")


def test_a_file_above_the_size_limit_is_refused_before_it_is_read(tmp_path):
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), 300 * 2**20)  # sparse: it takes no room on the disk
    with pytest.raises(TooLargeError, match="has 300 MiB; the limit is 256 MiB"):
        load_prompts(str(huge))


def test_faults_in_a_file_keep_their_rows(tmp_path):
    file = tmp_path / "broken.csv"
    file.write_text("prompt,label\nHello,benign\nHo,perhaps\n")
    with pytest.raises(PromptFileError) as caught:
        load_prompts(str(file))
    assert [(fault.row, fault.column) for fault in caught.value.faults] == [(3, "label")]


def test_an_unknown_builtin_name_lists_the_names_there_are():
    with pytest.raises(NotFoundError, match="no built-in prompt set 'nope'; there are: organism, topic-pairs"):
        load_prompts("builtin:nope")


def test_neither_a_file_nor_a_builtin_set_asks_the_network(tmp_path, monkeypatch):
    def refuse(*args):
        raise AssertionError(f"a connection to {args[1]} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    file = tmp_path / "mine.txt"
    file.write_text("Hello\n")
    assert len(load_prompts(str(file))) == 1
    assert len(load_prompts("builtin:topic-pairs")) > 0


@pytest.mark.parametrize("ref", ["hf://", "hf://a/b/c", "hf://a b", "hf://../../etc", "hf://a@", "hf://a#"])
def test_a_malformed_hub_reference_says_what_one_looks_like(ref):
    with pytest.raises(InputError, match=r"expected hf://ID\[@revision\]\[#config/split\]|cannot be asked for"):
        load_prompts(ref)
