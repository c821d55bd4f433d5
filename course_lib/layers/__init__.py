"""Building blocks that run over a whole sequence or one block of a stream at a time, with equal results.

One file per idea. Everything public is here, so that `import course_lib.layers as sl` is all that a reader needs.
"""

from course_lib.layers.accumulator import Accumulator, accumulate, accumulate_loop
from course_lib.layers.attention import DotProductSelfAttention
from course_lib.layers.attention_pooling import AttentionPooling
from course_lib.layers.batch_norm import BatchNorm
from course_lib.layers.bidirectional import Bidirectional
from course_lib.layers.cls_token import CLSToken
from course_lib.layers.conditioning import Conditioning
from course_lib.layers.convolution import Conv1D, Conv2D, Conv3D, DepthwiseConv1D
from course_lib.layers.cross_attention import DotProductAttention
from course_lib.layers.delay import Delay, Lookahead, StepDelay
from course_lib.layers.dense import Dense, EinsumDense
from course_lib.layers.elementwise import (
    GELU,
    Add,
    Dropout,
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
    Tanh,
)
from course_lib.layers.embedding import Embedding, SequenceEmbedding
from course_lib.layers.encoder import EncoderBlock, FeedForward
from course_lib.layers.filters import FIRFilter, IIRFilter
from course_lib.layers.fourier import FFT, IFFT, IRFFT, RFFT
from course_lib.layers.frame import Frame, Window
from course_lib.layers.gated import GEGLU, GLU, SwiGLU
from course_lib.layers.global_pooling import MaxPooling, MeanPooling, StatisticsPooling
from course_lib.layers.group_norm import GroupNorm
from course_lib.layers.mel import LinearToMel
from course_lib.layers.multi_head_attention import MultiHeadSelfAttention
from course_lib.layers.norm_kinds import make_norm
from course_lib.layers.normalization import LayerNorm, RMSNorm
from course_lib.layers.overlap_add import OverlapAdd
from course_lib.layers.parallel import Parallel, Residual
from course_lib.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    MaxPooling1D,
    MaxPooling2D,
    MinPooling1D,
    MinPooling2D,
)
from course_lib.layers.positional import AddTimingSignal
from course_lib.layers.positional_encoding import LearnedPositions, PositionalEncoding
from course_lib.layers.recurrent import GRU, LSTM, VanillaRNN
from course_lib.layers.relative_position import T5RelativePositionBias
from course_lib.layers.repeat import Repeat
from course_lib.layers.resampling import Downsample1D, Upsample1D
from course_lib.layers.residual_cnn import MultiScaleCNN, ResidualBlock
from course_lib.layers.rotary import RotaryEmbedding
from course_lib.layers.sequential import Sequential
from course_lib.layers.squeeze_excitation import SqueezeExcitation
from course_lib.layers.stft import STFT, InverseSTFT
from course_lib.layers.time_varying import MaskedDense, SequenceDense
from course_lib.layers.transposed_convolution import Conv1DTranspose, Conv2DTranspose
from course_lib.sequence import (
    ChannelSpec,
    Sequence,
    SequenceLayer,
    StatelessLayer,
    stream,
)
from course_lib.sequence.random_sequences import random_sequence, random_tokens

__all__ = [
    "Accumulator",
    "accumulate",
    "accumulate_loop",
    "AttentionPooling",
    "CLSToken",
    "EncoderBlock",
    "FeedForward",
    "MaxPooling",
    "MeanPooling",
    "MultiHeadSelfAttention",
    "make_norm",
    "LearnedPositions",
    "PositionalEncoding",
    "MultiScaleCNN",
    "ResidualBlock",
    "SqueezeExcitation",
    "StatisticsPooling",
    "BatchNorm",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv1D",
    "FIRFilter",
    "IIRFilter",
    "FFT",
    "IFFT",
    "IRFFT",
    "RFFT",
    "Frame",
    "Window",
    "GroupNorm",
    "LinearToMel",
    "LayerNorm",
    "RMSNorm",
    "OverlapAdd",
    "AveragePooling1D",
    "AveragePooling2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MinPooling1D",
    "MinPooling2D",
    "STFT",
    "InverseSTFT",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "GEGLU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "Add",
    "AddTimingSignal",
    "Bidirectional",
    "ChannelSpec",
    "Conditioning",
    "Delay",
    "Dense",
    "DotProductAttention",
    "DotProductSelfAttention",
    "Downsample1D",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "Identity",
    "Lambda",
    "Lookahead",
    "MaskedDense",
    "Mish",
    "Parallel",
    "ReLU",
    "Repeat",
    "Reshape",
    "Residual",
    "RotaryEmbedding",
    "Scale",
    "Sequence",
    "SequenceDense",
    "SequenceEmbedding",
    "SequenceLayer",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "StatelessLayer",
    "StepDelay",
    "SwiGLU",
    "T5RelativePositionBias",
    "Tanh",
    "Upsample1D",
    "VanillaRNN",
    "random_sequence",
    "random_tokens",
    "stream",
]
