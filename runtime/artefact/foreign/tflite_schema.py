"""The tables of a .tflite file: which fields each has, by tensorflow/lite/schema/schema.fbs, version 3.

A field is written as one letter of Python's ``struct`` for a number, ``s`` for a string, ``-`` for one that is no
longer used, or the name of a table. Brackets make it a vector. A union is ``<Name>``: the field before it says which
member it holds.
"""

import re

TABLES = {
    "Model": "version:I operator_codes:[OperatorCode] subgraphs:[SubGraph] description:s buffers:[Buffer] "
    "metadata_buffer:[i] metadata:[Metadata] signature_defs:[SignatureDef] "
    "external_buffer_groups:[ExternalBufferGroup] external_buffers:[ExternalBuffer]",
    "OperatorCode": "deprecated_builtin_code:b custom_code:s version:i builtin_code:i",
    "SubGraph": "tensors:[Tensor] inputs:[i] outputs:[i] operators:[Operator] name:s debug_metadata_index:i",
    "Tensor": "shape:[i] type:b buffer:I name:s quantization:QuantizationParameters is_variable:B "
    "sparsity:SparsityParameters shape_signature:[i] has_rank:B variant_tensors:[VariantSubType] external_buffer:I",
    "VariantSubType": "shape:[i] type:b has_rank:B",
    "QuantizationParameters": "min:[f] max:[f] scale:[f] zero_point:[q] details_type:B details:<QuantizationDetails> "
    "quantized_dimension:i",
    "SparsityParameters": "traversal_order:[i] block_map:[i] dim_metadata:[DimensionMetadata]",
    "DimensionMetadata": "format:b dense_size:i segments_type:B segments:<SparseIndexVector> indices_type:B "
    "indices:<SparseIndexVector>",
    "Operator": "opcode_index:I inputs:[i] outputs:[i] options_type:B options:<BuiltinOptions> custom_options:[B] "
    "custom_options_format:b mutating_variable_inputs:[B] intermediates:[i] large_custom_options_offset:Q "
    "large_custom_options_size:Q options_2_type:B options_2:<BuiltinOptions2> debug_metadata_index:i",
    "Buffer": "data:[B] offset:Q size:Q",
    "Metadata": "name:s buffer:I",
    "SignatureDef": "inputs:[TensorMap] outputs:[TensorMap] signature_key:s -:- subgraph_index:I",
    "TensorMap": "name:s tensor_index:I",
    "ExternalBufferGroup": "name:s",
    "ExternalBuffer": "id:I group:I offset:Q -:- packing:s",
}

# For each union the fields of its members, in the order of their numbers: the first has number 1, a dot has no fields.
# Of numbers the letter gives the size alone.
UNIONS = {
    "QuantizationDetails": "[B] iii[i] iii[i]",
    "SparseIndexVector": "[i] [H] [B]",
    "BuiltinOptions": (
        "biibiib biiibii i[i][i] b biiiib ibb bb bbbbb[b] i ib "
        "bb b iiii biibb --bb i [i] iib i b "
        "b . ii . . . b bb b [i] "
        "bbb iiiiib . . i . bb . . b "
        ". . . . . . . . biibb b "
        ". . . . b . b iiib ii . "
        "i . . ii . . . . biibbb bbbb "
        "biibbb . . bb i . b . i b "
        ". . . . . . ii . . . "
        ". ii ii i . . . . . . "
        "bbb bb i . . biiibiii ibb . . . "
        "ss . . qq [i] b . . . . "
        ". . . . . ."
    ),
    "BuiltinOptions2": (
        "q [q] [q][q][q] [q][q][q][q][b]qq[q]qq[q]qq[q]qq[i] sbsi[i][b] [q]i "
        "b[q][q][q]qbi ii [q] [q][q][q] q [q][q][q][q][i] "
        "[q][q][q][q][q]i qbi ii [q][q][q]q[q]b [q] . "
        "b i si[b]bi . [i]"
    ),
}

# The fields that name subgraphs to run: of CALL, IF, WHILE, CALL_ONCE and those of StableHLO.
CALLS = {
    "options": {16: (0,), 92: (0, 1), 93: (0, 1), 103: (0,)},
    "options_2": {5: (4,), 6: (1,), 7: (6,), 13: (5,), 14: (2,), 15: (0, 1), 21: (1,), 23: (0,)},
}

# Operators that are lost without their options: for each the member of BuiltinOptions, and those of its fields that
# must be positive, with the values that they have when they are absent. Sizes are divided by strides and blocks.
_CONVOLUTION, _POOL = (1, {1: 0, 2: 0, 4: 1, 5: 1}), (5, {1: 0, 2: 0, 3: 0, 4: 0})
_CONVOLUTION_3D = (106, {1: 0, 2: 0, 3: 0, 5: 1, 6: 1, 7: 1})
NEEDS: dict[int, tuple[int, dict[int, int]]] = {
    1: _POOL, 3: _CONVOLUTION, 4: (2, {1: 0, 2: 0, 5: 1, 6: 1}), 5: (94, {0: 0}), 12: _POOL, 17: _POOL,
    26: (19, {0: 0}), 31: (16, {}), 67: (49, {1: 0, 2: 0}), 118: (92, {}), 119: (93, {}), 129: (103, {}),
    132: _CONVOLUTION_3D, 141: _CONVOLUTION_3D,
}  # fmt: skip
# For convolutions and pools by the member of their options, for height and width: the fields with the stride, with the
# dilation (convolutions), and with the window (pools; that of a convolution is the shape of its weights).
WINDOWS = {1: ((2, 5, None), (1, 4, None)), 2: ((2, 6, None), (1, 5, None)), 5: ((2, None, 4), (1, None, 3))}

# How many bits an element takes, by the number of its type. None: text, or a handle to something else.
BITS: tuple[int | None, ...] = (
    32, 16, 32, 8, 64, None, 8, 16, 64, 8, 64, 128, 64, None, None, 32, 16, 4, 16, 2, 4, 8, 8,
)  # fmt: skip
STRING = 5
# The least and the greatest zero point of a quantized type.
INTEGERS = {2: (-(2**31), 2**31 - 1), 3: (0, 255), 4: (-(2**63), 2**63 - 1), 7: (-(2**15), 2**15 - 1), 9: (-128, 127)}

Fields = tuple[tuple[str, str], ...]


def fields_of(table: str) -> Fields:
    """Return the (name, kind) of each field of a table, in the order of their numbers."""
    pairs = (field.partition(":") for field in TABLES[table].split())
    return tuple((name, kind) for name, _, kind in pairs)


def members_of(union: str) -> tuple[Fields, ...]:
    """Return the fields of each member of a union; they are called by their numbers."""
    return tuple(
        tuple((str(number), kind) for number, kind in enumerate(re.findall(r"\[\w\]|[\w-]", member)))
        for member in UNIONS[union].split()
    )
