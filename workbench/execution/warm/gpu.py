"""Whether a GPU's driver has been started in this process: no fork could use it. Asked before fork points and after imports."""

from __future__ import annotations

import os

__all__ = ["driver_started"]

NOT_INITIALIZED = 3  # CUDA_ERROR_NOT_INITIALIZED


def driver_started() -> bool:
    """Whether some library has called `cuInit` in this process (CUDA Driver API, "Initialization").

    The driver says so itself, and no library is loaded to ask it. torch's `is_initialized` speaks of torch's own use alone: after
    `torch.cuda.is_available()`, and whatever CuPy or JAX do, it is still false.
    """
    import ctypes  # processes that are to be thin load this module's callers

    try:
        driver = ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    except OSError:  # not loaded
        return False
    count = ctypes.c_int()
    return bool(driver.cuDeviceGetCount(ctypes.byref(count)) != NOT_INITIALIZED)
