from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.reports.errors import ConfigError, DamageError, NotFoundError, SealedError
from radimpress.server.security.sealing import Seal, is_sealed, make_key

TEXT = b"A small left pleural effusion."


def _key(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(make_key(), "ascii")
    return path


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    return Seal([_key(tmp_path, "first")])


def test_what_is_sealed_opens_again(seal: Seal) -> None:
    assert seal.open(seal.seal(TEXT)) == TEXT


@pytest.mark.parametrize("text", [b"", b"x", b"\x00" * 100_000])
def test_any_text_can_be_sealed(seal: Seal, text: bytes) -> None:
    assert seal.open(seal.seal(text)) == text


def test_nothing_of_the_text_shows_and_no_two_seals_are_alike(seal: Seal) -> None:
    one, other = seal.seal(TEXT), seal.seal(TEXT)
    assert b"effusion" not in one
    assert one != other


def test_a_changed_byte_anywhere_is_noticed(seal: Seal) -> None:
    sealed = seal.seal(TEXT)
    for at in range(sealed.index(b"radseal1") + 8, len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises((DamageError, SealedError)):
            seal.open(bytes(changed))


@pytest.mark.parametrize("left", [9, 17, 20, 29, 44])
def test_a_text_cut_short_is_noticed(seal: Seal, left: int) -> None:
    with pytest.raises((DamageError, SealedError)):
        seal.open(seal.seal(TEXT)[:left])


def test_a_text_that_was_moved_to_another_place_is_noticed(seal: Seal) -> None:
    sealed = seal.seal(TEXT, b"alder\x001")
    assert seal.open(sealed, b"alder\x001") == TEXT
    with pytest.raises(DamageError):
        seal.open(sealed, b"alder\x002")


def test_what_was_kept_before_there_was_a_key_is_given_back_as_it_is(seal: Seal) -> None:
    assert not is_sealed(TEXT)
    assert seal.open(TEXT) == TEXT


def test_after_a_change_of_keys_the_new_one_seals_and_both_open(tmp_path: Path) -> None:
    old, new = _key(tmp_path, "old"), _key(tmp_path, "new")
    before = Seal([old]).seal(TEXT)
    both = Seal([new, old])
    assert both.open(before) == TEXT
    assert Seal([new]).open(both.seal(TEXT)) == TEXT


def test_a_key_that_is_not_given_is_named_by_its_id_alone(tmp_path: Path) -> None:
    old, new = _key(tmp_path, "old"), _key(tmp_path, "new")
    sealed = Seal([old]).seal(TEXT)
    with pytest.raises(SealedError, match="is not among those given") as caught:
        Seal([new]).open(sealed)
    assert old.read_text("ascii").strip() not in str(caught.value)


@pytest.mark.parametrize("content", ["", "no base64 !", "c2hvcnQ=\n"])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content, "ascii")
    with pytest.raises(ConfigError, match="is no sealing key"):
        Seal([path])


def test_a_key_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Seal([tmp_path / "nothing"])


def test_without_any_key_there_is_no_seal() -> None:
    with pytest.raises(ConfigError):
        Seal([])


def test_no_two_keys_are_alike() -> None:
    assert make_key() != make_key()
