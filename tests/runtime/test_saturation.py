"""Integer products that are too large for a processor's fast way to add them."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from i2i.runtime.devices import saturation


def test_it_is_what_a_convolution_in_integers_shows() -> None:
    constants = {
        "step": np.float32(1),
        "coarse": np.float32(2**15),
        "zero": np.uint8(0),
        "none": np.int8(0),
        "weights": np.full((16, 16, 3, 3), 127, np.int8),
    }
    inputs = ["codes", "step", "zero", "weights", "step", "none", "coarse", "zero"]
    graph = helper.make_graph(
        [helper.make_node("QLinearConv", inputs, ["made"])],
        "convolution",
        [helper.make_tensor_value_info("codes", TensorProto.UINT8, [1, 16, 8, 8])],
        [helper.make_tensor_value_info("made", TensorProto.UINT8, [1, 16, 6, 6])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"codes": np.full((1, 16, 8, 8), 255, np.uint8)})
    right = round(16 * 9 * 255 * 127 / 2**15)
    assert saturation.saturates() == bool((made != right).any())


def test_the_model_by_which_it_is_found_is_a_valid_one() -> None:
    onnx.checker.check_model(onnx.load_from_string(saturation._product()), full_check=True)
