"""The same generator, faster on CPUs: what ``networks`` computes, by other algorithms for the same sums.

Read in this order: ``activations`` (normalisation, done where a map is read next), ``labels`` and ``label_conv`` (label
maps as sparse pictures, 7x7 convolutions of them by table lookup), ``winograd`` (3x3 convolutions with a quarter of the
multiplications), ``blocks`` (the networks' building blocks from these), ``scales`` (one network), ``engine`` (a frame).

Maps are (H, W, C), one clip at a time, channels contiguous: a vector instruction takes neighbouring channels.
"""
