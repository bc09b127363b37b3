"""A minimal reader and writer of safetensors files, on numpy alone.

Reads F32, F64, BF16 (widened to float32), I32 and I64; writes all of these
but BF16.  A file is little-endian: eight bytes of header length, a JSON
header naming each tensor's type, shape and byte range, then the data.
"""

import json
import os
import struct

import numpy as np

MAX_HEADER = 100 * 1000 * 1000
READ_TYPES = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype("<u2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}
WRITE_TYPES = {
    np.dtype("<f4"): "F32",
    np.dtype("<f8"): "F64",
    np.dtype("<i4"): "I32",
    np.dtype("<i8"): "I64",
}


def read(path):
    """Return (tensors, metadata): name -> array, and name -> string."""
    with open(path, "rb") as file:
        blob = file.read()
    if len(blob) < 8:
        raise ValueError(f"{path}: too short for a safetensors file")
    (length,) = struct.unpack("<Q", blob[:8])
    if length > MAX_HEADER or 8 + length > len(blob):
        raise ValueError(f"{path}: header of {length} bytes does not fit")
    header = json.loads(blob[8:8 + length].decode("utf-8"))
    metadata = header.pop("__metadata__", {})
    data = memoryview(blob)[8 + length:]
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] not in READ_TYPES:
            raise ValueError(f"{path}: {name}: type {entry['dtype']}")
        dtype = READ_TYPES[entry["dtype"]]
        shape = tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if not 0 <= begin <= end <= len(data) or end - begin != size:
            raise ValueError(f"{path}: {name}: range does not fit its shape")
        array = np.frombuffer(data[begin:end], dtype=dtype).reshape(shape)
        if entry["dtype"] == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        tensors[name] = array.copy()
    return tensors, metadata


def write(path, tensors, metadata=None):
    """Write name -> array, and metadata of strings, in one atomic step."""
    header = {}
    if metadata:
        header["__metadata__"] = {k: str(v) for k, v in metadata.items()}
    arrays, offset = [], 0
    for name, array in tensors.items():
        # ascontiguousarray would turn a scalar into a vector.
        array = np.asarray(array, order="C")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype not in WRITE_TYPES:
            raise ValueError(f"{name}: cannot write type {array.dtype}")
        header[name] = {
            "dtype": WRITE_TYPES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
        arrays.append(array)
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for array in arrays:
            file.write(array.tobytes())
    os.replace(temporary, path)
