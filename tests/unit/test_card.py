"""The card: sealed, found, verified, and refused when anything was changed."""

import json

import pytest

from edgeport.runtime import ArtefactError, Card
from edgeport.runtime.artefact.embedded_metadata import InputFacts, OutputFacts, read_card, seal, to_json

CARD = Card(
    model="digits",
    precision="int8",
    inputs=(InputFacts("image", range=(0.0, 1.0)), InputFacts("tokens", "NT", None)),
    outputs=(OutputFacts("kind", "softmax"), OutputFacts("size")),
    labels=("zero", "ein\u00df", 'quo"te', '{"edgeport_card":'),
    calibration={"count": 3},
)
BEFORE, AFTER = b"\x00\xffmodel bytes", b"\xfe more bytes {}"
SEALED = seal(BEFORE + to_json(CARD).encode() + AFTER)


def test_a_sealed_card_comes_back_as_it_was() -> None:
    assert read_card(SEALED, name="x") == CARD


def test_a_card_is_json_of_ascii() -> None:
    assert to_json(CARD).isascii()
    assert json.loads(to_json(CARD))["labels"][1] == "ein\u00df"


@pytest.mark.parametrize("position", range(len(SEALED)))
def test_any_changed_bit_is_noticed(position: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= 1
    with pytest.raises(ArtefactError):
        read_card(bytes(changed), name="x")


def test_truncation_and_appending_are_noticed() -> None:
    for damaged in (SEALED[:-1], SEALED + b"\0", SEALED[1:]):
        with pytest.raises(ArtefactError, match="altered"):
            read_card(damaged, name="x")


def test_a_file_without_a_card_needs_trust() -> None:
    with pytest.raises(ArtefactError, match="--trust"):
        read_card(b"foreign", name="x")
    assert read_card(b"foreign", name="x", verify=False) is None


def test_two_cards_are_ambiguous() -> None:
    with pytest.raises(ArtefactError, match="more than one"):
        read_card(SEALED + SEALED, name="x")


def test_another_schema_is_named() -> None:
    with pytest.raises(ArtefactError, match="schema 2"):
        read_card(SEALED.replace(b'{"edgeport_card":2', b'{"edgeport_card":3'), name="x")


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(ArtefactError, match="relu"):
        read_card(seal(to_json(Card("m", "int8", outputs=(OutputFacts("y", "relu"),))).encode()), name="x")
