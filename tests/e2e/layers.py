"""Every layer and activation that Keras ships and that computes at inference, each in the smallest model."""

from collections.abc import Callable

import keras
from keras import layers

Shape = tuple[int, ...]
Layer = Callable[[], Callable[..., object]]

VECTOR, SIGNAL, IMAGE, VOLUME = (6,), (12, 4), (9, 9, 3), (6, 6, 6, 2)

# What takes one tensor of real numbers, by its shape.
ON_VECTOR: dict[str, Layer] = {
    "Dense": lambda: layers.Dense(4, activation="relu"),
    "RepeatVector": lambda: layers.RepeatVector(3),
    "Reshape": lambda: layers.Reshape((2, 3)),
    "Normalization": lambda: layers.Normalization(mean=[0.5] * 6, variance=[2.0] * 6),
    "Discretization": lambda: layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.5]),
    "Identity": layers.Identity,
    "GaussianNoise": lambda: layers.GaussianNoise(0.5),
    "GaussianDropout": lambda: layers.GaussianDropout(0.5),
    "AlphaDropout": lambda: layers.AlphaDropout(0.5),
    "ActivityRegularization": layers.ActivityRegularization,
    "UnitNormalization": layers.UnitNormalization,
    "PReLU": lambda: layers.PReLU(alpha_initializer="uniform"),
    "ELU layer": layers.ELU,
    "LeakyReLU layer": layers.LeakyReLU,
    "ReLU layer": lambda: layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.2),
    "Softmax layer": layers.Softmax,
    "Dense with LoRA": lambda: layers.Dense(4, lora_rank=2),
}  # fmt: skip
ON_SIGNAL: dict[str, Layer] = {
    "Conv1D": lambda: layers.Conv1D(5, 3),
    "Conv1D, causal and dilated": lambda: layers.Conv1D(5, 3, padding="causal", dilation_rate=2),
    "Conv1D, same and strided": lambda: layers.Conv1D(5, 4, padding="same", strides=3),
    "Conv1D, grouped": lambda: layers.Conv1D(4, 3, groups=2),
    "Conv1DTranspose": lambda: layers.Conv1DTranspose(5, 3, strides=2),
    "Conv1DTranspose, same": lambda: layers.Conv1DTranspose(5, 4, strides=2, padding="same"),
    "DepthwiseConv1D": lambda: layers.DepthwiseConv1D(3, depth_multiplier=2),
    "SeparableConv1D": lambda: layers.SeparableConv1D(5, 3),
    "MaxPooling1D": layers.MaxPooling1D,
    "AveragePooling1D": lambda: layers.AveragePooling1D(3, padding="same"),
    "GlobalMaxPooling1D": layers.GlobalMaxPooling1D,
    "GlobalAveragePooling1D": layers.GlobalAveragePooling1D,
    "AdaptiveAveragePooling1D": lambda: layers.AdaptiveAveragePooling1D(5),
    "AdaptiveMaxPooling1D": lambda: layers.AdaptiveMaxPooling1D(5),
    "UpSampling1D": layers.UpSampling1D,
    "ZeroPadding1D": lambda: layers.ZeroPadding1D((1, 2)),
    "Cropping1D": lambda: layers.Cropping1D((1, 2)),
    "Permute": lambda: layers.Permute((2, 1)),
    "EinsumDense": lambda: layers.EinsumDense("abc,cde->abde", (None, 3, 2), bias_axes="d"),
    "TimeDistributed": lambda: layers.TimeDistributed(layers.Dense(3)),
    "Masking and LSTM": lambda: keras.Sequential([layers.Masking(0.0), layers.LSTM(5)]),
    "Bidirectional GRU": lambda: layers.Bidirectional(layers.GRU(5, return_sequences=True)),
    "RNN of stacked cells": lambda: layers.RNN([layers.LSTMCell(5), layers.GRUCell(4)]),
    "SimpleRNN, backwards": lambda: layers.SimpleRNN(5, go_backwards=True),
    "LSTM, unrolled": lambda: layers.LSTM(5, unroll=True),
    "GRU, reset before": lambda: layers.GRU(5, reset_after=False, return_sequences=True),
    "LSTM, all states": lambda: layers.LSTM(5, return_state=True, return_sequences=True),
    "Softmax of an axis": lambda: layers.Softmax(axis=1),
    "SpatialDropout1D": lambda: layers.SpatialDropout1D(0.5),
    "BatchNormalization on a signal": layers.BatchNormalization,
    "LayerNormalization": layers.LayerNormalization,
    "LayerNormalization of two axes": lambda: layers.LayerNormalization(axis=(1, 2)),
    "GroupNormalization": lambda: layers.GroupNormalization(2),
    "RMSNormalization": layers.RMSNormalization,
    "SpectralNormalization": lambda: layers.SpectralNormalization(layers.Dense(3)),
    "ConvLSTM1D": lambda: keras.Sequential([layers.Reshape((3, 4, 4)), layers.ConvLSTM1D(3, 2)]),
}  # fmt: skip
ON_IMAGE: dict[str, Layer] = {
    "Conv2D": lambda: layers.Conv2D(4, 3, strides=2),
    "Conv2D, dilated": lambda: layers.Conv2D(4, 3, dilation_rate=2, padding="same"),
    "Conv2D, grouped": lambda: layers.Conv2D(6, 3, groups=3),
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "DepthwiseConv2D, dilated": lambda: layers.DepthwiseConv2D(3, dilation_rate=2),
    "SeparableConv2D": lambda: layers.SeparableConv2D(4, 3, strides=2, padding="same"),
    "Conv2DTranspose": lambda: layers.Conv2DTranspose(4, 3, strides=2),
    "Conv2DTranspose, same": lambda: layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
    "Conv2DTranspose, output padding": lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=1),
    "Conv2DTranspose, dilated": lambda: layers.Conv2DTranspose(4, 3, dilation_rate=2),
    "MaxPooling2D": lambda: layers.MaxPooling2D(3, strides=2, padding="same"),
    "AveragePooling2D": lambda: layers.AveragePooling2D(2, padding="same"),
    "GlobalMaxPooling2D": lambda: layers.GlobalMaxPooling2D(keepdims=True),
    "GlobalAveragePooling2D": layers.GlobalAveragePooling2D,
    "AdaptiveAveragePooling2D": lambda: layers.AdaptiveAveragePooling2D((4, 3)),
    "AdaptiveMaxPooling2D": lambda: layers.AdaptiveMaxPooling2D(4),
    "UpSampling2D, nearest": lambda: layers.UpSampling2D((2, 3)),
    "UpSampling2D, bilinear": lambda: layers.UpSampling2D(interpolation="bilinear"),
    "UpSampling2D, bicubic": lambda: layers.UpSampling2D(interpolation="bicubic"),
    "Resizing, bilinear": lambda: layers.Resizing(5, 7),
    "Resizing, bilinear up": lambda: layers.Resizing(20, 17),
    "Resizing, nearest": lambda: layers.Resizing(5, 13, interpolation="nearest"),
    "Resizing, bicubic": lambda: layers.Resizing(5, 7, interpolation="bicubic"),
    "Resizing, lanczos3": lambda: layers.Resizing(5, 7, interpolation="lanczos3"),
    "Resizing, area": lambda: layers.Resizing(5, 7, interpolation="area"),
    "Resizing, cropped": lambda: layers.Resizing(5, 7, crop_to_aspect_ratio=True),
    "Resizing, padded": lambda: layers.Resizing(15, 12, pad_to_aspect_ratio=True),
    "CenterCrop": lambda: layers.CenterCrop(5, 4),
    "CenterCrop of a small image": lambda: layers.CenterCrop(12, 12),
    "ZeroPadding2D": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
    "Cropping2D": lambda: layers.Cropping2D(((1, 2), (0, 3))),
    "Rescaling": lambda: layers.Rescaling([0.1, 0.2, 0.3], [0.5, 0.0, -0.5]),
    "SpatialDropout2D": lambda: layers.SpatialDropout2D(0.5),
    "Permute of an image": lambda: layers.Permute((3, 1, 2)),
    "PReLU with shared axes": lambda: layers.PReLU(alpha_initializer="uniform", shared_axes=[1, 2]),
    "Flatten": layers.Flatten,
    "BatchNormalization": layers.BatchNormalization,
    "SpectralNormalization of Conv2D": lambda: layers.SpectralNormalization(layers.Conv2D(3, 2)),
    "ConvLSTM2D": lambda: keras.Sequential([layers.Reshape((3, 3, 9, 3)), layers.ConvLSTM2D(3, 2)]),
    "TimeDistributed Conv1D": lambda: layers.TimeDistributed(layers.Conv1D(3, 2)),
    "RandomFlip": layers.RandomFlip,
    "RandomRotation": lambda: layers.RandomRotation(0.2),
    "RandomZoom": lambda: layers.RandomZoom(0.2),
    "RandomTranslation": lambda: layers.RandomTranslation(0.2, 0.2),
    "RandomContrast": lambda: layers.RandomContrast(0.2),
    "RandomBrightness": lambda: layers.RandomBrightness(0.2),
    "RandomCrop": lambda: layers.RandomCrop(6, 6),
    "RandomShear": lambda: layers.RandomShear(0.2, 0.2),
    "RandomErasing": layers.RandomErasing,
    "RandomHue": lambda: layers.RandomHue(0.2),
    "RandomGaussianBlur": layers.RandomGaussianBlur,
    "RandomPerspective": layers.RandomPerspective,
    "AutoContrast": layers.AutoContrast,
    "Solarization": layers.Solarization,
    "MixUp": layers.MixUp,
    "CutMix": layers.CutMix,
    "RandAugment": layers.RandAugment,
    "AugMix": layers.AugMix,
}  # fmt: skip
ON_VOLUME: dict[str, Layer] = {
    "Conv3D": lambda: layers.Conv3D(3, 2),
    "Conv3D, dilated": lambda: layers.Conv3D(3, 2, dilation_rate=2),
    "Conv3DTranspose": lambda: layers.Conv3DTranspose(3, 2, strides=2),
    "MaxPooling3D": layers.MaxPooling3D,
    "AveragePooling3D": lambda: layers.AveragePooling3D(2),
    "GlobalMaxPooling3D": layers.GlobalMaxPooling3D,
    "GlobalAveragePooling3D": layers.GlobalAveragePooling3D,
    "AdaptiveAveragePooling3D": lambda: layers.AdaptiveAveragePooling3D(4),
    "AdaptiveMaxPooling3D": lambda: layers.AdaptiveMaxPooling3D(4),
    "UpSampling3D": layers.UpSampling3D,
    "ZeroPadding3D": layers.ZeroPadding3D,
    "Cropping3D": layers.Cropping3D,
    "ConvLSTM3D": lambda: keras.Sequential([layers.Reshape((3, 2, 6, 6, 2)), layers.ConvLSTM3D(2, 2)]),
}  # fmt: skip


def attention(layer: Layer) -> Layer:
    return lambda: lambda x: layer()([x, keras.ops.flip(x, 1)])


def merged(layer: Layer) -> Layer:
    return lambda: lambda x: layer()([x, keras.ops.tanh(x)])


def self_attention(layer: Layer) -> Layer:
    return lambda: lambda x: layer()(x, x)


ON_SIGNAL |= {
    "Attention": attention(layers.Attention),
    "Attention, scaled": attention(lambda: layers.Attention(use_scale=True, score_mode="concat")),
    "AdditiveAttention": attention(layers.AdditiveAttention),
    "MultiHeadAttention": self_attention(lambda: layers.MultiHeadAttention(2, 3)),
    "MultiHeadAttention, causal": lambda: lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True),
    "GroupQueryAttention": self_attention(lambda: layers.GroupQueryAttention(4, 4, 2)),
    "Dot": merged(lambda: layers.Dot(axes=2, normalize=True)),
    "Add": merged(layers.Add),
    "Subtract": merged(layers.Subtract),
    "Multiply": merged(layers.Multiply),
    "Average": merged(layers.Average),
    "Maximum": merged(layers.Maximum),
    "Minimum": merged(layers.Minimum),
    "Concatenate": merged(layers.Concatenate),
}
ON_AUDIO: dict[str, Layer] = {
    "STFTSpectrogram": lambda: (
        lambda x: layers.STFTSpectrogram(frame_length=32, frame_step=16, fft_length=32)(x[..., None])
    ),
    "MelSpectrogram": lambda: layers.MelSpectrogram(
        fft_length=64, sequence_stride=32, num_mel_bins=8, sampling_rate=8000
    ),
}
ON_TOKENS: dict[str, Layer] = {
    "Embedding": lambda: layers.Embedding(10, 4),
    "Embedding, masked, LSTM": lambda: keras.Sequential([layers.Embedding(10, 4, mask_zero=True), layers.LSTM(3)]),
    "Embedding, masked, Bidirectional": lambda: keras.Sequential(
        [layers.Embedding(10, 4, mask_zero=True), layers.Bidirectional(layers.LSTM(3))]
    ),
    "Embedding, masked, average": lambda: keras.Sequential(
        [layers.Embedding(10, 4, mask_zero=True), layers.GlobalAveragePooling1D()]
    ),
    "ReversibleEmbedding": lambda: layers.ReversibleEmbedding(10, 4),
    "CategoryEncoding, multi-hot": lambda: layers.CategoryEncoding(num_tokens=10),
    "CategoryEncoding, one-hot": lambda: layers.CategoryEncoding(num_tokens=10, output_mode="one_hot"),
    "CategoryEncoding, count": lambda: layers.CategoryEncoding(num_tokens=10, output_mode="count"),
    "IntegerLookup": lambda: layers.IntegerLookup(vocabulary=[1, 3, 5]),
    "Hashing": lambda: layers.Hashing(4),
    "HashedCrossing": lambda: lambda x: layers.HashedCrossing(4)([x[:, :1], x[:, 1:2]]),
}
LAYERS: dict[str, tuple[Shape, str, Layer]] = {
    **{name: (VECTOR, "float32", layer) for name, layer in ON_VECTOR.items()},
    **{name: (SIGNAL, "float32", layer) for name, layer in ON_SIGNAL.items()},
    **{name: (IMAGE, "float32", layer) for name, layer in ON_IMAGE.items()},
    **{name: (VOLUME, "float32", layer) for name, layer in ON_VOLUME.items()},
    **{name: ((256,), "float32", layer) for name, layer in ON_AUDIO.items()},
    **{name: ((6,), "int32", layer) for name, layer in ON_TOKENS.items()},
}


def build(name: str) -> keras.Model:
    """Return the model of one layer, with weights that are not all zeros and ones."""
    keras.utils.set_random_seed(1)
    shape, dtype, layer = LAYERS[name]
    inputs = keras.Input(shape, dtype=dtype, name="x")
    model = keras.Model(inputs, layer()(inputs))
    for weight in model.trainable_weights:
        if weight.path.endswith(("gamma", "beta", "bias")):
            weight.assign(keras.random.uniform(weight.shape, 0.2, 1.2, seed=2))
    return model
