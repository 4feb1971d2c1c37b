"""OpenVINO's C library through ctypes: as much of it as a comparison needs."""

import ctypes

import numpy

# ov_element_type_e of the types that our models use.
_TYPES = {4: numpy.float32, 16: numpy.uint8}


class Model:
    """A model compiled for the CPU, in single precision whatever the CPU would prefer."""

    def __init__(self, library, path):
        self._ov = ctypes.CDLL(library)
        self._core, self._compiled, self._request = (ctypes.c_void_p() for _ in range(3))
        self._call("ov_core_create", ctypes.byref(self._core))
        settings = [b"INFERENCE_PRECISION_HINT", b"f32", b"INFERENCE_NUM_THREADS", b"1"]
        self._call("ov_core_compile_model_from_file", self._core, path.encode(), b"CPU",
                   ctypes.c_size_t(len(settings)), ctypes.byref(self._compiled),
                   *(ctypes.c_char_p(s) for s in settings))
        self._call("ov_compiled_model_create_infer_request", self._compiled, ctypes.byref(self._request))

    def _call(self, name, *args):
        status = getattr(self._ov, name)(*args)
        if status != 0:
            self._ov.ov_get_last_err_msg.restype = ctypes.c_char_p
            raise RuntimeError(f"{name}: {self._ov.ov_get_last_err_msg().decode()}")

    def _tensor(self, name):
        """The tensor's memory as an array; valid until the next run."""
        tensor, data, kind = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int()
        self._call("ov_infer_request_get_tensor", self._request, name.encode(), ctypes.byref(tensor))

        class Shape(ctypes.Structure):
            _fields_ = [("rank", ctypes.c_int64), ("dims", ctypes.POINTER(ctypes.c_int64))]

        shape = Shape()
        self._call("ov_tensor_get_shape", tensor, ctypes.byref(shape))
        self._call("ov_tensor_get_element_type", tensor, ctypes.byref(kind))
        self._call("ov_tensor_data", tensor, ctypes.byref(data))
        dims = shape.dims[:shape.rank]
        self._call("ov_shape_free", ctypes.byref(shape))
        self._ov.ov_tensor_free(tensor)
        item = numpy.dtype(_TYPES[kind.value])
        count = int(numpy.prod(dims))
        memory = (ctypes.c_char * (count * item.itemsize)).from_address(data.value)
        return numpy.frombuffer(memory, item).reshape(dims)

    def run(self, image, outputs):
        self._tensor("image")[...] = image
        self._call("ov_infer_request_infer", self._request)
        return [self._tensor(name).copy() for name in outputs]
