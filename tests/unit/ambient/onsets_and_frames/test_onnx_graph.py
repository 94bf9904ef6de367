"""A graph written by hand is what onnxruntime reads: shapes, attributes, constants and names."""

import sys

import numpy as np
import pytest

from ambient.errors import InputError
from ambient.onsets_and_frames.onnx_graph import OnnxGraph
from ambient.transcribers.onnx_session import OnnxSession, processors


def test_the_smallest_model_has_the_bytes_that_the_format_prescribes():
    graph = OnnxGraph()
    graph.node("Relu", [graph.input("x", ["n", 300])], outputs=["y"])
    graph.output("y", [2])
    # field << 3 | wire type, length, content; 300 is ac 02
    node = bytes.fromhex("0a01 78 1201 79 2204") + b"Relu"
    given = bytes.fromhex("0a01 79 120a 0a08 0801 1204 0a02 0802".replace(" ", ""))
    read = bytes.fromhex("0a0178") + b"\x12\x10\x0a\x0e\x08\x01\x12\x0a\x0a\x03\x12\x01n\x0a\x03\x08\xac\x02"
    content = b"\x0a" + bytes([len(node)]) + node + b"\x12\x07network"
    content += b"\x5a" + bytes([len(read)]) + read + b"\x62" + bytes([len(given)]) + given
    assert graph.to_bytes() == b"\x08\x08\x42\x02\x10\x11\x3a" + bytes([len(content)]) + content


def test_constants_attributes_and_left_out_inputs_arrive():
    graph = OnnxGraph()
    x = graph.input("x", ["rows", 3])
    total = graph.node("Gemm", [x, graph.tensor(np.arange(6.0).reshape(2, 3))], attributes={"transB": 1, "alpha": 0.5})
    clipped = graph.node("Clip", [total, "", graph.tensor(np.array(5.0))])  # no lowest value
    graph.node("Transpose", [clipped], outputs=["turned"], attributes={"perm": (1, 0)})
    graph.output("turned", [2, "rows"])
    session = OnnxSession(graph.to_bytes(), threads=1)
    (found,) = session.run(["turned"], {"x": np.array([[1, 1, 1], [-2, 0, 4]], np.float32)})
    np.testing.assert_allclose(found, [[1.5, 4], [5, 5]])  # half of 3, 12 and 8, 14
    assert session.inputs == ["x"]


def test_negative_numbers_words_and_several_outputs_arrive():
    graph = OnnxGraph()
    shape = graph.tensor(np.array([-1, 2], dtype=np.int64))
    x = graph.node("Reshape", [graph.input("x", [4]), shape])
    graph.node("TopK", [x, graph.tensor(np.array([1], dtype=np.int64))], outputs=["top", "at"], attributes={"axis": -1})
    graph.node("Pad", ["top", graph.tensor(np.array([0, 1, 0, 0]))], outputs=["padded"], attributes={"mode": "edge"})
    graph.output("padded", [2, 2])
    (found,) = OnnxSession(graph.to_bytes()).run(["padded"], {"x": np.array([1, 2, 4, 3], np.float32)})
    np.testing.assert_array_equal(found, [[2, 2], [4, 4]])


def test_without_onnxruntime_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime: not installed; .*pip install onnxruntime"):
        OnnxSession(b"")


def test_at_least_one_core_is_there():
    assert processors() >= 1
