"""Write a network as an ONNX model, so that onnxruntime runs weights that are stored in another way.

Conventions: the model is a Protocol Buffers message as onnx/onnx `onnx.proto` defines it; the numbers of its fields
stand here. Only what our networks need is written: tensors of float32, and of int64 for shapes. The `onnx` package
would do the same in 30 MB.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ambient.protobuf import field, field_head

Attribute = int | float | str | Sequence[int]

_IR_VERSION = 8
_OPERATORS = 17  # version of the operator set
_FLOAT, _INT64 = 1, 7  # TensorProto.DataType
_DATA_TYPES = {np.dtype(np.float32): _FLOAT, np.dtype(np.int64): _INT64}


class OnnxGraph:
    """A network that grows node by node."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._tensors: list[tuple[bytes, np.ndarray]] = []  # all but the numbers, and the numbers
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
        head = b"".join(field(1, size) for size in stored.shape)
        head += field(2, _DATA_TYPES[stored.dtype]) + field(8, name) + field_head(9, stored.nbytes)
        self._tensors.append((head, stored))
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
        message = b"".join(field(1, name) for name in inputs)
        message += b"".join(field(2, name) for name in given)
        message += field(4, operator)
        message += b"".join(field(5, _attribute(name, value)) for name, value in (attributes or {}).items())
        self._nodes.append(message)
        return given[0]

    def to_bytes(self) -> bytes:
        """Return the model as onnxruntime reads it."""
        parts: list[bytes | memoryview] = [field(1, each) for each in self._nodes]
        parts.append(field(2, "network"))
        for head, array in self._tensors:  # numbers are copied once only, here
            parts += [field_head(5, len(head) + array.nbytes) + head, array.reshape(-1).view(np.uint8).data]
        parts += [field(11, each) for each in self._inputs] + [field(12, each) for each in self._outputs]
        version = field(1, _IR_VERSION) + field(8, field(2, _OPERATORS))
        return b"".join([version, field_head(7, sum(map(len, parts))), *parts])

    def _fresh(self, stem: str) -> str:
        self._names += 1
        return f"{stem}_{self._names}"


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """Return a ValueInfoProto: name, element type, shape."""
    sizes = (field(2 if isinstance(size, str) else 1, size) for size in shape)
    tensor = field(1, _FLOAT) + field(2, b"".join(field(1, size) for size in sizes))
    return field(1, name) + field(2, field(1, tensor))


def _attribute(name: str, value: Attribute) -> bytes:
    """Return an AttributeProto; its type is field 20."""
    head = field(1, name)
    if isinstance(value, str):
        return head + field(4, value) + field(20, 3)
    if isinstance(value, float):
        return head + field(2, value) + field(20, 1)
    if isinstance(value, int):
        return head + field(3, value) + field(20, 2)
    return head + b"".join(field(8, each) for each in value) + field(20, 7)
