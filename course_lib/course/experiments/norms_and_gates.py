"""Post-norm and pre-norm over depth and learning rate, and GELU against SwiGLU at equal size, on who-is-speaking talk.

Every model is a stack of encoder blocks of 32 channels with rotary positions and Xavier's initial weights. It is
trained on batches of 16 noisy conversations of 32 steps, joined from the JapaneseVowels training utterances, and tested
on 40 joined from the test utterances. 40 more are joined from the training utterances: by the accuracy on these a rate
is chosen. "blocks": 2 and 16 blocks, 60 batches, nine rates. "gate": two pre-norm blocks, hidden sizes 96 for GELU and
64 for SwiGLU, 100 batches, six rates. The gates have five seeds, the depths three, and
16 blocks are recorded at the rates around each way's best (`--seeds 0 1 2 --only ...`). About 6 CPU minutes together.
"""

import torch
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.course.experiments import _training, look_ahead
from course_lib.course.experiments._training import fitted, over_steps, seeded
from course_lib.course.experiments.runner import Experiment, by_seed, grid

WIDTH, LENGTH, NOISE = 32, 32, 1.0
DEPTHS = (2, 16)
STEPS = {"blocks": 60, "gate": 100}  # training batches
WAYS = {"post": ("post", 1), "post with warm-up": ("post", 30), "pre": ("pre", 1)}  # (norm, steps of warm-up)
HIDDEN_SIZES = {"gelu": 96, "swiglu": 64}  # 2 · 96 · 32 = 3 · 64 · 32 weights
RATES = {
    "blocks": (1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2),
    "gate": (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2),
}


def stack(depth: int, norm: str, seed: int, **block) -> nn.Sequential:
    """(B, T, 12) -> logits (B, T, 9): a linear layer, `depth` encoder blocks (at index 1), a last norm, a linear layer.

    norm: "pre" or "post"; a pre-norm stack normalises its sum once, at the end.  block: arguments of `EncoderBlock`.
    """

    def make() -> nn.Sequential:
        blocks = nn.Sequential(*[sl.EncoderBlock(WIDTH, 2, norm=norm, rotary=10_000.0, **block) for _ in range(depth)])
        for parameter in blocks.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)
        last = sl.LayerNorm(WIDTH) if norm == "pre" else nn.Identity()
        embed, readout = nn.Linear(look_ahead.COEFFICIENTS, WIDTH), nn.Linear(WIDTH, look_ahead.SPEAKERS)
        return nn.Sequential(embed, blocks, last, readout)

    return seeded(seed, make)


def test_talk(split: str = "test") -> tuple[Tensor, Tensor]:
    """40 conversations (40, 32, 12) of a split and their speakers (40, 32), the same for every model."""
    generator = torch.Generator().manual_seed(99)
    return look_ahead.conversations(*look_ahead.load_speakers(split), 40, LENGTH, NOISE, generator)[:2]


def train(model: nn.Module, seed: int, steps: int, rate: float = 2e-3, warm_up: int = 1) -> nn.Module:
    """The model after `steps` fresh batches, with Adam; the rate rises linearly over the first `warm_up` of them."""
    generator, known = torch.Generator().manual_seed(seed), look_ahead.load_speakers("train")
    batches = [look_ahead.conversations(*known, 16, LENGTH, NOISE, generator)[:2] for _ in range(steps)]

    def ramp(adam: torch.optim.Optimizer, total: int) -> torch.optim.lr_scheduler.LambdaLR:
        return torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, (step + 1) / warm_up))

    return fitted(model, batches, rate, torch.optim.Adam, loss=over_steps, schedule=ramp, clip_norm=None)


def accuracy(model: nn.Module, split: str = "test") -> float:
    """Share of the steps of `test_talk` whose speaker is named."""
    return _training.accuracy(model, *test_talk(split))


def gradient_by_block(model: nn.Module) -> list[float]:
    """Norm of the gradient of each block's parameters, on the test conversations; nothing is changed."""
    x, speaker = test_talk()
    parameters = [list(block.parameters()) for block in model[1]]
    flat = [parameter for block in parameters for parameter in block]
    gradients = iter(torch.autograd.grad(over_steps(model(x), speaker), flat))
    return [sum(next(gradients).square().sum().item() for _ in block) ** 0.5 for block in parameters]


def measure(seed: int, rate: float, way: str = "", depth: int = 2, gate: str = "") -> dict[str, float]:
    """Accuracy of one stack after one training, on test and on training utterances."""
    if gate:
        model = stack(depth, "pre", seed, feed_forward=gate, hidden_size=HIDDEN_SIZES[gate])
        train(model, seed, STEPS["gate"], rate, warm_up=10)
    else:
        norm, warm_up = WAYS[way]
        model = train(stack(depth, norm, seed), seed, STEPS["blocks"], rate, warm_up)
    return {"accuracy": accuracy(model), "training accuracy": accuracy(model, "train")}


EXPERIMENT = Experiment(
    measure,
    settings=grid("{way}, {depth} blocks, rate {rate:g}", depth=DEPTHS, way=WAYS, rate=RATES["blocks"])
    | grid("{gate}, rate {rate:g}", gate=HIDDEN_SIZES, rate=RATES["gate"]),
    cheapest="pre, 2 blocks, rate 0.002",
    seeds=range(5),
    details=by_seed,
    threads=1,
    source="JapaneseVowels",
    load=look_ahead.load_splits,
)
