"""Setting of the C library's memory, once for the process."""

from __future__ import annotations

import ctypes
import sys

# Of mallopt in <malloc.h>, which only glibc has.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_MMAPPED = 8 * 1024 * 1024  # bytes; more than those of a frame
_KEPT = 32 * 1024 * 1024  # bytes that are free and not given back


def keep_freed_memory() -> None:
    """Let glibc use the memory of frames again, instead of giving it back.

    Else the kernel clears new pages for each frame, which cost a search more time than zstd; one arena, as what each
    thread keeps for itself no other one uses.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt") and hasattr(library, "gnu_get_libc_version"):
        for option, value in ((_MMAP_THRESHOLD, _MMAPPED), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, 1)):
            library.mallopt(option, value)
