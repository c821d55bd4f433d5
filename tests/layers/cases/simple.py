"""Activations, arithmetic, shapes, gates, dense maps, embeddings, resampling, delays."""

import torch
import torch.nn.functional as F

import course_lib.layers as sl
from course_lib.sequence import Case, ragged, ragged_tokens

CASES = {
    "Identity": lambda: Case(sl.Identity, ragged(4)),
    "ReLU": lambda: Case(sl.ReLU, ragged(4)),
    "GELU": lambda: Case(sl.GELU, ragged(4)),
    "GELU tanh": lambda: Case(lambda: sl.GELU(approximate="tanh"), ragged(4)),
    "SiLU": lambda: Case(sl.SiLU, ragged(4)),
    "Mish": lambda: Case(sl.Mish, ragged(4)),
    "Sigmoid": lambda: Case(sl.Sigmoid, ragged(4)),
    "Tanh": lambda: Case(sl.Tanh, ragged()),
    "Softmax": lambda: Case(sl.Softmax, ragged(4)),
    "Softmax over the first of two channel axes": lambda: Case(lambda: sl.Softmax(axis=2), ragged(3, 4)),
    "Dropout": lambda: Case(lambda: sl.Dropout(0.3), ragged(4)),
    "Lambda of a module": lambda: Case(lambda: sl.Lambda(torch.nn.Linear(4, 3)), ragged(4)),
    "Emit": lambda: Case(lambda: sl.Emit("inside"), ragged(4)),
    "Lambda": lambda: Case(lambda: sl.Lambda(lambda v: v.exp()), ragged(4)),
    "Lambda to complex": lambda: Case(lambda: sl.Lambda(lambda v: torch.view_as_complex(v)), ragged(3, 2)),
    "Scale": lambda: Case(lambda: sl.Scale(-2.5), ragged(4)),
    "Scale by a tensor": lambda: Case(lambda: sl.Scale(torch.arange(1.0, 5)), ragged(3, 4)),
    "Add": lambda: Case(lambda: sl.Add(1.5), ragged(4)),
    "Add a tensor": lambda: Case(lambda: sl.Add(torch.arange(1.0, 5)), ragged(4)),
    "Reshape": lambda: Case(lambda: sl.Reshape((2, -1)), ragged(6)),
    "Flatten": lambda: Case(sl.Flatten, ragged(2, 3)),
    "GLU": lambda: Case(sl.GLU, ragged(6)),
    "GEGLU": lambda: Case(lambda: sl.GEGLU(), ragged(2, 6)),
    "SwiGLU": lambda: Case(sl.SwiGLU, ragged(6)),
    "Dense": lambda: Case(lambda: sl.Dense(5, 4), ragged(4)),
    "Dense lazy": lambda: Case(lambda: sl.Dense(5, bias=False, activation=F.relu), ragged(3, 4)),
    "EinsumDense": lambda: Case(lambda: sl.EinsumDense("...nh,nhd->...d", (6,), "d", (2, 3)), ragged(2, 3)),
    "EinsumDense lazy": lambda: Case(
        lambda: sl.EinsumDense("...nh,hd->...nd", (2, 5), "nd", activation=torch.tanh), ragged(2, 3)
    ),
    "Delay": lambda: Case(lambda: sl.Delay(3), ragged(4)),
    "Delay 0": lambda: Case(lambda: sl.Delay(0), ragged(4)),
    "StepDelay": lambda: Case(lambda: sl.StepDelay(2), ragged(4)),
    "Lookahead": lambda: Case(lambda: sl.Lookahead(2), ragged(4)),
}
CASES |= {
    "Embedding": lambda: Case(lambda: sl.Embedding(10, 6), ragged_tokens(10)),
    "Embedding of several tokens": lambda: Case(lambda: sl.Embedding(10, 6), ragged_tokens(10, 2)),
    "SequenceEmbedding": lambda: Case(lambda: sl.SequenceEmbedding(10, 4, num_steps=13), ragged_tokens(10)),
    "SequenceEmbedding of fewer steps": lambda: Case(
        lambda: sl.SequenceEmbedding(10, 4, num_steps=8), ragged_tokens(10, 2)
    ),
    "SequenceDense": lambda: Case(lambda: sl.SequenceDense(3, num_steps=13), ragged(4)),
    "SequenceDense of fewer steps": lambda: Case(
        lambda: sl.SequenceDense(3, 8, in_features=4, bias=False, activation=torch.tanh), ragged(4)
    ),
    "MaskedDense": lambda: Case(lambda: sl.MaskedDense(3, num_steps=13), ragged(4)),
    "MaskedDense of fewer steps": lambda: Case(
        lambda: sl.MaskedDense(3, 8, in_features=4, bias=False, activation=torch.tanh), ragged(4)
    ),
    "Upsample1D": lambda: Case(lambda: sl.Upsample1D(3), ragged(4)),
    "Downsample1D": lambda: Case(lambda: sl.Downsample1D(3), ragged(4)),
}
