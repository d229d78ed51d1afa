"""Which of onnxruntime's operators end in MLAS, its library of kernels for each kind of processor.

After the sources of onnxruntime: which operators of ``core/providers/cpu`` and ``contrib_ops/cpu`` call ``core/mlas``
for their arithmetic. The others loop plainly, use Eigen, or move bytes; a newer onnxruntime may have moved one across.
"""

from edgeport.benchmarks.profile.parts import DEQUANTIZE, QUANTIZE

_NCHWC = "com.microsoft.nchwc"
# The operators that multiply: only these can be the one in which several of the file were fused.
_MULTIPLYING = (
    "Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose", "QLinearConv", "ConvInteger", "Gemm", "FusedGemm", "QGemm",
    "MatMul", "FusedMatMul", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
)  # fmt: skip
_MLAS = frozenset(_MULTIPLYING) | {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "NhwcMaxPool", "QLinearGlobalAveragePool",
    "QLinearAdd", "QLinearMul", "Softmax", "LogSoftmax", "Sigmoid", "Tanh", "Erf", "Gelu",
}  # fmt: skip
# MLAS pools floats; integers in the layout of the file are pooled by plain loops.
_MLAS_ON_FLOATS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
_BOUNDARIES = {
    "QuantizeLinear": QUANTIZE,
    "DynamicQuantizeLinear": QUANTIZE,
    "DequantizeLinear": DEQUANTIZE,
}


def in_mlas(kind: str, *, domain: str, dtype: str) -> bool:
    """Whether an operator's arithmetic is done by MLAS.

    Args:
        kind: Its type.
        domain: Its domain; ``com.microsoft.nchwc`` is that of MLAS' own blocked layout.
        dtype: What it reads.
    """
    return domain == _NCHWC or kind in _MLAS or (kind in _MLAS_ON_FLOATS and dtype == "float32")


def multiplies(kind: str) -> bool:
    """Whether an operator is a convolution or a product of matrices, whatever is fused into it."""
    return kind in _MULTIPLYING


def quantizes_on_the_way(kind: str) -> bool:
    """Whether an operator takes floats and multiplies integers."""
    return kind == "DynamicQuantizeMatMul"


def boundary_of(kind: str) -> str:
    """Return ``quantize``, ``dequantize``, or empty for an operator that is neither."""
    return _BOUNDARIES.get(kind, "")
