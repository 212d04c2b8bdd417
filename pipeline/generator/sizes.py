"""The size that the original brings pictures to."""

STEP, COARSE_STEP = 4, 32  # pixels: sides are rounded to multiples of the one, then, without a crop, of the other


def target_size(size: tuple[int, int], mode: str, load_size: int, drawn: int | None = None) -> tuple[int, int]:
    """(width, height) that the original resizes pictures of ``size`` (width, height) to.

    ``mode`` is its ``resize_or_crop``, ``load_size`` its ``loadSize``; ``drawn`` is the side that a "randomScale..."
    mode names. Sides are rounded to multiples of 4, then of 32, ties to the even multiple, so a side of 16 becomes 0.
    """
    w, h = size
    if "resize" in mode:
        return load_size, load_size
    if "scaleWidth" in mode:
        w, h = load_size, load_size * h // w
    elif "scaleHeight" in mode:
        w, h = load_size * w // h, load_size
    elif "randomScaleWidth" in mode:
        w, h = _given(drawn, mode), _given(drawn, mode) * h // w
    elif "randomScaleHeight" in mode:
        w, h = _given(drawn, mode) * w // h, _given(drawn, mode)
    w, h = _rounded(w, STEP), _rounded(h, STEP)
    if "crop" in mode or "scaledCrop" in mode:
        return w, h
    return _rounded(w, COARSE_STEP), _rounded(h, COARSE_STEP)


def _given(drawn: int | None, mode: str) -> int:
    if drawn is None:
        raise ValueError(f"mode {mode} draws the side that it names at random: give it as `drawn`")
    return drawn


def _rounded(x: int, step: int) -> int:
    return step * round(x / step)
