"""Write a network as an ONNX model, so that onnxruntime runs weights that are stored in another way.

Conventions: the model is a Protocol Buffers message as onnx/onnx `onnx.proto` defines it; the numbers of its fields
stand here. Only what our networks need is written: tensors of float32, and of int64 for shapes. The `onnx` package
would do the same in 30 MB.
"""

from collections.abc import Mapping, Sequence

import numpy as np

Attribute = int | float | str | Sequence[int]

_IR_VERSION = 8
_OPERATORS = 17  # version of the operator set
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_DATA_TYPES = {np.dtype(np.float32): _FLOAT, np.dtype(np.int64): _INT64}
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types


class OnnxGraph:
    """A network that grows node by node."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._tensors: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._names = 0

    def input(self, name: str, shape: Sequence[int | str]) -> str:
        """Declare an input of float32; a size that is a word may be any. Returns its name."""
        self._inputs.append(_value(name, shape))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> None:
        """Declare which value is an output."""
        self._outputs.append(_value(name, shape))

    def tensor(self, array: np.ndarray) -> str:
        """Store a constant, float32 unless it is int64; returns its name."""
        stored = np.ascontiguousarray(array, dtype=np.int64 if array.dtype == np.int64 else np.float32)
        name = self._fresh("constant")
        message = b"".join(_number(1, size) for size in stored.shape)
        message += _number(2, _DATA_TYPES[stored.dtype]) + _bytes(8, name.encode()) + _bytes(9, stored.tobytes())
        self._tensors.append(message)
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        outputs: Sequence[str] = (),
        attributes: Mapping[str, Attribute] | None = None,
    ) -> str:
        """Add an operation.

        Args:
            operator: ONNX's name of it.
            inputs: Names of values; an empty one leaves an optional input out.
            outputs: Names for what it gives; by default one fresh name.
            attributes: Numbers, words and lists of whole numbers.

        Returns:
            The name of its first output.
        """
        given = list(outputs) or [self._fresh(operator.lower())]
        message = b"".join(_bytes(1, name.encode()) for name in inputs)
        message += b"".join(_bytes(2, name.encode()) for name in given)
        message += _bytes(4, operator.encode())
        message += b"".join(_bytes(5, _attribute(name, value)) for name, value in (attributes or {}).items())
        self._nodes.append(message)
        return given[0]

    def to_bytes(self) -> bytes:
        """Return the model as onnxruntime reads it."""
        fields = [(1, each) for each in self._nodes] + [(2, b"network")] + [(5, each) for each in self._tensors]
        fields += [(11, each) for each in self._inputs] + [(12, each) for each in self._outputs]
        graph = b"".join(_bytes(number, content) for number, content in fields)
        return _number(1, _IR_VERSION) + _bytes(8, _number(2, _OPERATORS)) + _bytes(7, graph)

    def _fresh(self, stem: str) -> str:
        self._names += 1
        return f"{stem}_{self._names}"


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """Return a ValueInfoProto: name, element type, shape."""
    sizes = (_bytes(2, size.encode()) if isinstance(size, str) else _number(1, size) for size in shape)
    tensor = _number(1, _FLOAT) + _bytes(2, b"".join(_bytes(1, size) for size in sizes))
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _attribute(name: str, value: Attribute) -> bytes:
    """Return an AttributeProto; its type is field 20."""
    head = _bytes(1, name.encode())
    if isinstance(value, str):
        return head + _bytes(4, value.encode()) + _number(20, 3)
    if isinstance(value, float):
        return head + _key(2, _FIXED32) + np.float32(value).tobytes() + _number(20, 1)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, 2)
    return head + b"".join(_number(8, each) for each in value) + _number(20, 7)


def _number(field: int, value: int) -> bytes:
    return _key(field, _VARINT) + _varint(value & (1 << 64) - 1)  # negative ones in ten bytes, as the format says


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(content)) + content


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Write seven bits a byte, the lowest first, the highest bit of all but the last byte set."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
