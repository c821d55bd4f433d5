"""Building blocks that run over a whole sequence or one block of a stream at a time, with equal results.

One file per idea. Everything public is here, so that `import course_lib.layers as sl` is all that a reader needs.

One rule for dtypes holds in all of them, and in the models that are made of them:

- In goes the dtype of the layer's parameters; any floating dtype where it has none. ValueError for another one.
- Out comes the dtype that went in. Complex spectra are of at least complex64, as PyTorch has no smaller transform, and
  what is made of them is of at least float32; `Scale` and `Add` promote as PyTorch does.
- In between, sums over time, moments, softmax, decays, angles, windows and Fourier transforms are computed in at least
  float32; products with weights in their own dtype, as PyTorch does it. Positions are counted in int64, and angles are
  as exact at step 10⁶ as at step 1. Float64 is made only on devices that have it, by `GroupNorm(cumulative=True)`,
  whose moments need it, and on the CPU by `IIRFilter`.
- A state has the dtype of what it holds: that of the input, of the parameters, or of the sums, and keeps it.
- Under autocast any floating dtype goes in, PyTorch chooses what comes out, branches of different dtypes are promoted
  to the wider one, and states keep their dtype.
"""

from course_lib.layers.accumulator import RGLRU, Accumulator, accumulate, accumulate_loop
from course_lib.layers.attention import DotProductSelfAttention, MultiHeadSelfAttention
from course_lib.layers.conditioning import Conditioning, DotProductAttention, StreamingDotProductAttention
from course_lib.layers.convolution import Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, DepthwiseConv1D
from course_lib.layers.delay import Delay, Lookahead, StepDelay
from course_lib.layers.dense import Dense, EinsumDense, MaskedDense, SequenceDense
from course_lib.layers.elementwise import (
    GEGLU,
    GELU,
    GLU,
    Add,
    Dropout,
    Emit,
    Flatten,
    Identity,
    Lambda,
    Mish,
    ReLU,
    Reshape,
    Scale,
    Sigmoid,
    SiLU,
    Softmax,
    SwiGLU,
    Tanh,
)
from course_lib.layers.embedding import Embedding, SequenceEmbedding
from course_lib.layers.encoder import CLSToken, EncoderBlock, FeedForward
from course_lib.layers.filters import FIRFilter, IIRFilter
from course_lib.layers.global_pooling import AttentionPooling, MaxPooling, MeanPooling, StatisticsPooling
from course_lib.layers.normalization import BatchNorm, GroupNorm, LayerNorm, RMSNorm, make_norm
from course_lib.layers.overlap_add import OverlapAdd
from course_lib.layers.parallel import Bidirectional, ChannelGroups, Parallel, Residual
from course_lib.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    Downsample1D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
    MinPooling1D,
    MinPooling2D,
    MinPooling3D,
    Upsample1D,
)
from course_lib.layers.positional import (
    AddTimingSignal,
    LearnedPositions,
    PositionalEncoding,
    ShawRelativePosition,
    T5RelativePositionBias,
    TransformerXLRelativePosition,
)
from course_lib.layers.recurrent import GRU, LSTM, VanillaRNN
from course_lib.layers.residual_cnn import MultiScaleCNN, ResidualBlock, SqueezeExcitation
from course_lib.layers.rotary import RotaryEmbedding
from course_lib.layers.sequential import Repeat, Sequential
from course_lib.layers.spectra import FFT, IFFT, IRFFT, RFFT, STFT, InverseSTFT, LinearToMel
from course_lib.layers.windows import Frame, Window
from course_lib.layers.wrappers import Adapted, Adaptor, Blockwise, Checkpoint
from course_lib.sequence import (
    ChannelSpec,
    Sequence,
    SequenceLayer,
    StatelessLayer,
    emitted,
    random_sequence,
    random_tokens,
    stream,
)

# fmt: off
__all__ = [
    "RGLRU", "Accumulator", "accumulate", "accumulate_loop",
    "DotProductSelfAttention", "MultiHeadSelfAttention",
    "Conditioning", "DotProductAttention", "StreamingDotProductAttention",
    "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "DepthwiseConv1D",
    "Delay", "Lookahead", "StepDelay",
    "Dense", "EinsumDense", "MaskedDense", "SequenceDense",
    "GEGLU", "GELU", "GLU", "Add", "Dropout", "Emit", "Flatten", "Identity", "Lambda", "Mish", "ReLU", "Reshape",
    "Scale", "Sigmoid", "SiLU", "Softmax", "SwiGLU", "Tanh",
    "Embedding", "SequenceEmbedding",
    "CLSToken", "EncoderBlock", "FeedForward",
    "FIRFilter", "IIRFilter",
    "AttentionPooling", "MaxPooling", "MeanPooling", "StatisticsPooling",
    "BatchNorm", "GroupNorm", "LayerNorm", "RMSNorm", "make_norm",
    "OverlapAdd",
    "Bidirectional", "ChannelGroups", "Parallel", "Residual",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "Downsample1D", "MaxPooling1D", "MaxPooling2D",
    "MaxPooling3D", "MinPooling1D", "MinPooling2D", "MinPooling3D", "Upsample1D",
    "AddTimingSignal", "LearnedPositions", "PositionalEncoding", "ShawRelativePosition", "T5RelativePositionBias",
    "TransformerXLRelativePosition",
    "GRU", "LSTM", "VanillaRNN",
    "MultiScaleCNN", "ResidualBlock", "SqueezeExcitation",
    "RotaryEmbedding",
    "Repeat", "Sequential",
    "FFT", "IFFT", "IRFFT", "RFFT", "STFT", "InverseSTFT", "LinearToMel",
    "Frame", "Window",
    "Adapted", "Adaptor", "Blockwise", "Checkpoint",
    "ChannelSpec", "Sequence", "SequenceLayer", "StatelessLayer", "emitted", "random_sequence", "random_tokens",
    "stream",
]
# fmt: on
