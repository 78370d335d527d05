"""Memory that was needed for a moment and is free again: glibc keeps it for this process unless it is asked."""


def give_back() -> None:
    """Let the operating system have what is free; where the C library is another, it does that by itself."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
