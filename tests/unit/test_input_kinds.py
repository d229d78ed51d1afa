"""What users say of inputs: read, matched to the inputs of a model, and held against them."""

import numpy as np
import pytest

from edgeport.runtime import InputError
from edgeport.runtime.artefact.contract import Input
from edgeport.runtime.artefact.input_kinds import kind_text, parsed_input, with_kinds
from edgeport.runtime.artefact.spec import TensorSpec
from edgeport.runtime.tensors.encoding import encoder_of, real_pixels

PHOTO = Input("photo", (None, 8, 8, 3), "float32")
DEPTH = Input("depth", (None, 8, 8, 1), "float32")
FACTS = Input("facts", (None, 5), "float32")
WORDS = Input("words", (None, 9), "int32")


def said(*texts: str, ports: tuple[Input, ...] = (PHOTO, DEPTH, FACTS, WORDS)) -> dict[str, str]:
    found = with_kinds(ports, [parsed_input(text) for text in texts], what="model.keras")
    return {port.name: f"{kind_text(port)} {port.channels}".strip() for port in found}


@pytest.mark.parametrize(
    "text",
    [
        "pixels:0:255", "pixels:-1:1", "pixels:-1:1:bgr", "pixels:0:0.5", "real", "ids",
        "pixels:-123.6801234:151.0612345:bgr", "pixels:0:0.00392156862745098", "pixels:16777215.0:16777217.0",
    ],
)  # fmt: skip
def test_what_is_said_is_read_and_written_alike(text: str) -> None:
    assert kind_text(parsed_input(text)) == text
    named = parsed_input(f"a=b={text}")
    assert (named.name, kind_text(named)) == ("a=b", text)


def test_pixels_alone_are_raw() -> None:
    assert parsed_input("pixels") == parsed_input("pixels:0:255")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected pixels, pixels:LOW:HIGH"),
        ("pixel", "expected pixels, pixels:LOW:HIGH"),
        ("real:0:1", "expected pixels, pixels:LOW:HIGH"),
        ("pixels:0", "expected pixels, pixels:LOW:HIGH"),
        ("pixels:bgr", "expected pixels, pixels:LOW:HIGH"),
        ("pixels:0:1:yuv", "expected pixels, pixels:LOW:HIGH"),
        ("pixels:0:1:", "expected pixels, pixels:LOW:HIGH"),
        ("pixels:0:1:rgb:rgb", "expected pixels, pixels:LOW:HIGH"),
        ("pixels:a:b", "expected numbers"),
        ("pixels:1:0", "the lower one first"),
        ("pixels:0:nan", "the lower one first"),
        ("pixels:-inf:1", "the lower one first"),
    ],
)
def test_what_is_no_kind_is_reported(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"--input: got '{text}'.*{message}"):
        parsed_input(text)


def test_the_only_input_needs_no_name_whatever_its_shape() -> None:
    assert said("pixels:0:1", ports=(PHOTO,)) == {"photo": "pixels:0:1 rgb"}
    assert said("pixels", ports=(FACTS,)) == {"facts": "pixels:0:255"}
    assert said("ids", ports=(WORDS,)) == {"words": "ids"}
    assert said(ports=(PHOTO,)) == {"photo": ""}


def test_of_several_inputs_each_gets_what_it_can_be() -> None:
    assert said("pixels:-1:1") == {"photo": "pixels:-1:1 rgb", "depth": "pixels:-1:1 grey", "facts": "", "words": ""}
    assert said("real", "ids") == {"photo": "real", "depth": "real", "facts": "real", "words": "ids"}
    assert said("depth=real", "pixels") == {"photo": "pixels:0:255 rgb", "depth": "real", "facts": "", "words": ""}
    assert said("photo=pixels:0:1:bgr")["photo"] == "pixels:0:1:bgr bgr"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["sound=real"], "got sound=real, expected it for an input of model.keras: photo float32"),
        (["photo=ids"], "got photo=ids for photo .* expected pixels or real"),
        (["words=real"], "got words=real for words .* expected ids"),
        (["words=pixels"], "got words=pixels:0:255 for words .* expected ids"),
        (["photo=pixels", "photo=real"], "got photo=pixels:0:255 and photo=real for photo, expected one of them"),
        (["pixels", "real"], "got pixels:0:255 and real for photo, expected one of them"),
        (["depth=pixels:0:1:rgb"], "got rgb for depth .* expected grey"),
        (["photo=pixels:0:1:grey"], "got grey for photo .* expected rgb"),
        (["facts=pixels:0:1:rgb"], "got rgb for facts .* expected no channels"),
    ],
)
def test_what_an_input_cannot_be_is_reported(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        said(*texts)


def test_pixels_become_what_the_model_takes_in_its_order_of_channels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    for channels, expected in (("rgb", images), ("bgr", images[..., ::-1])):
        port = PHOTO._replace(kind="pixels", range=(-1.0, 1.0), channels=channels)
        real = real_pixels(images, port)
        assert real.dtype == np.float32
        np.testing.assert_allclose(real, expected / 127.5 - 1, atol=1e-6)
        floats = encoder_of(port, TensorSpec("x", (None, 8, 8, 3), "float32"))(images)
        np.testing.assert_array_equal(floats, real)
        bytes_ = encoder_of(port, TensorSpec("x", (None, 8, 8, 3), "int8", 2 / 255, 0))(images)
        assert bytes_.flags.c_contiguous
        np.testing.assert_allclose(bytes_.astype(np.float32) * 2 / 255, real, atol=1 / 255 + 1e-6)
