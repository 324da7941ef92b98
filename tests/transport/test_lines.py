"""Byte streams as blocks of whole lines."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_ad.errors import InputError
from stream_ad.transport.lines import LongLine, read_blocks


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines") / "file.txt"


@given(
    st.lists(st.sampled_from([b"a", b"\n", b'"', b"\r\n", b"bb", b","])),
    st.integers(1, 9),
    st.booleans(),
)
def test_blocks_join_to_the_file_and_end_with_lines(
    path: Path, pieces: list[bytes], size: int, quotes: bool
) -> None:
    content = b"".join(pieces)
    path.write_bytes(content)
    blocks = list(read_blocks(path, 10**6, quotes=quotes, size=size))
    whole = [block for block in blocks if isinstance(block, bytes)]
    assert b"".join(whole) == content
    assert all(block.endswith((b"\n", b"\r")) for block in whole[:-1])


@given(st.lists(st.text("ab,\n", max_size=6)), st.integers(1, 9))
def test_no_block_ends_within_quotes(path: Path, cells: list[str], size: int) -> None:
    path.write_text("".join(f'"{cell}"\n' for cell in cells))
    for block in read_blocks(path, 10**6, quotes=True, size=size):
        assert isinstance(block, bytes)
        assert block.count(b'"') % 2 == 0


def test_a_quote_that_never_closes_does_not_collect_the_file(path: Path) -> None:
    path.write_bytes(b'a"b\n' + b"x,y\n" * 1000)
    blocks = list(read_blocks(path, 100, quotes=True, size=64))
    assert max(len(block) for block in blocks if isinstance(block, bytes)) <= 256


@given(st.integers(0, 60), st.integers(1, 9))
def test_a_line_beyond_the_limit_is_known_by_length_and_digest(
    path: Path, length: int, size: int
) -> None:
    line = b"x" * length
    path.write_bytes(b"first\n" + line + b"\nlast\n")
    blocks = list(read_blocks(path, 20, quotes=False, size=size))
    long = [block for block in blocks if isinstance(block, LongLine)]
    kept = b"".join(block for block in blocks if isinstance(block, bytes))
    if long:
        assert length > 20
        assert long == [LongLine(line, length, hashlib.sha256(line).hexdigest())]
        assert kept == b"first\nlast\n"
    else:
        assert length <= 20 + size
        assert kept == path.read_bytes()


def test_a_byte_order_mark_is_no_part_of_the_text(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbfa,b\n")
    assert list(read_blocks(path, 100, quotes=True)) == [b"a,b\n"]


def test_compressed_files_read_like_plain_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert list(read_blocks(path, 100, quotes=True)) == [b"a,b\n1,2\n"]


@pytest.mark.parametrize("cut", [1, 5, 15, 24])
def test_a_damaged_compressed_file_is_an_input_error(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n")[:cut])
    with pytest.raises(InputError, match=r"a\.csv\.gz: cannot be read"):
        list(read_blocks(path, 100, quotes=True))


def test_utf_16_is_named(path: Path) -> None:
    path.write_bytes("a,b\n".encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16; save it as UTF-8"):
        list(read_blocks(path, 100, quotes=True))
