"""Post-norm against pre-norm as depth grows, and GELU against SwiGLU at equal size, on who-is-speaking conversations.

Every model is a stack of encoder blocks of 32 channels with rotary positions and Xavier's initial weights. It is
trained on batches of 16 noisy conversations of 32 steps, joined from the JapaneseVowels training utterances, and tested
on 40 joined from the test utterances. "depth": 2, 8 and 16 blocks, 60 batches. "gate": two pre-norm blocks, hidden
sizes 96 for GELU and 64 for SwiGLU, 100 batches at two rates. About 30 CPU seconds a seed.

Writes figures/results/norms_and_gates.csv: accuracy over test steps, mean and standard deviation over seeds; and for
"gate" SwiGLU minus GELU, paired by seed.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import course_lib.layers as sl
from course_lib.course.experiments import look_ahead, results
from course_lib.course.experiments.runner import Experiment, Found, column, mean_rows, total_seconds
from course_lib.training import fit
from course_lib.training.rng import isolated

WIDTH, LENGTH, NOISE = 32, 32, 1.0
DEPTHS = (2, 8, 16)
WAYS = {"post": ("post", 1), "post, warm-up": ("post", 30), "pre": ("pre", 1)}  # (norm, steps of warm-up)
HIDDEN_SIZES = {"gelu": 96, "swiglu": 64}  # 2 · 96 · 32 = 3 · 64 · 32 weights
RATES = (1e-3, 4e-3)


def stack(depth: int, norm: str, seed: int, **block) -> nn.Sequential:
    """(B, T, 12) -> logits (B, T, 9): a linear layer, `depth` encoder blocks (at index 1), a last norm, a linear layer.

    norm: "pre" or "post"; a pre-norm stack normalises its sum once, at the end.  block: arguments of `EncoderBlock`.
    """
    with isolated(seed, torch.device("cpu")):
        blocks = nn.Sequential(*[sl.EncoderBlock(WIDTH, 2, norm=norm, rotary=10_000.0, **block) for _ in range(depth)])
        for parameter in blocks.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)
        last = sl.LayerNorm(WIDTH) if norm == "pre" else nn.Identity()
        embed, readout = nn.Linear(look_ahead.COEFFICIENTS, WIDTH), nn.Linear(WIDTH, look_ahead.SPEAKERS)
    return nn.Sequential(embed, blocks, last, readout)


def test_talk() -> tuple[Tensor, Tensor]:
    """The test conversations (40, 32, 12) and their speakers (40, 32), the same for every model."""
    generator = torch.Generator().manual_seed(99)
    return look_ahead.conversations(*look_ahead.load_speakers("test"), 40, LENGTH, NOISE, generator)[:2]


def loss(logits: Tensor, speaker: Tensor) -> Tensor:
    """Cross-entropy over all steps: logits (B, T, 9), speaker (B, T)."""
    return F.cross_entropy(logits.flatten(0, 1), speaker.flatten())


def train(model: nn.Module, seed: int, steps: int, rate: float = 2e-3, warm_up: int = 1) -> nn.Module:
    """The model after `steps` fresh batches, with Adam; the rate rises linearly over the first `warm_up` of them."""
    generator, known = torch.Generator().manual_seed(seed), look_ahead.load_speakers("train")
    batches = [look_ahead.conversations(*known, 16, LENGTH, NOISE, generator)[:2] for _ in range(steps)]
    adam = torch.optim.Adam(model.parameters(), lr=rate)
    ramp = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: min(1.0, (step + 1) / warm_up))
    fit(model, batches, epochs=1, loss=loss, optimizer=adam, schedule=ramp, metrics={}, device="cpu", progress=False)
    return model.eval()


def accuracy(model: nn.Module) -> float:
    """Share of test steps whose speaker is named."""
    x, speaker = test_talk()
    with torch.no_grad():
        return (model(x).argmax(dim=-1) == speaker).float().mean().item()


def gradient_by_block(model: nn.Module) -> list[float]:
    """Norm of the gradient of each block's parameters, on the test conversations; nothing is changed."""
    x, speaker = test_talk()
    parameters = [list(block.parameters()) for block in model[1]]
    flat = [parameter for block in parameters for parameter in block]
    gradients = iter(torch.autograd.grad(loss(model(x), speaker), flat))
    return [sum(next(gradients).square().sum().item() for _ in block) ** 0.5 for block in parameters]


def measure(seed: int, norm: str, depth: int, steps: int, rate: float, warm_up: int, **block) -> dict[str, float]:
    """Test accuracy of one stack after one training."""
    return {"accuracy": accuracy(train(stack(depth, norm, seed, **block), seed, steps, rate, warm_up))}


def rows(found: Found) -> list[dict]:
    """The means, and for each rate the gain of SwiGLU over GELU, paired by seed."""
    made = mean_rows(found, "{setting}")
    for rate in RATES:
        pair = [found.get(f"{kind}: rate {rate:g}") for kind in ("swiglu", "gelu")]
        if all(pair):
            gain = column(pair[0], "accuracy") - column(pair[1], "accuracy")
            seconds = total_seconds(pair[0] + pair[1])
            made.append(results.over_seeds(f"swiglu − gelu: rate {rate:g}", gain, seconds))
    return made


SETTINGS: dict[str, dict] = {
    f"{way}: {depth} blocks": {"norm": norm, "depth": depth, "steps": 60, "rate": 2e-3, "warm_up": warm_up}
    for depth in DEPTHS
    for way, (norm, warm_up) in WAYS.items()
} | {
    f"{kind}: rate {rate:g}": {"norm": "pre", "depth": 2, "steps": 100, "rate": rate, "warm_up": 10}
    | {"feed_forward": kind, "hidden_size": hidden_size}
    for rate in RATES
    for kind, hidden_size in HIDDEN_SIZES.items()
}
EXPERIMENT = Experiment(
    measure,
    SETTINGS,
    cheapest="pre: 2 blocks",
    seeds=(0, 1, 2, 3, 4),
    rows=rows,
    source="JapaneseVowels",
    load=lambda: [look_ahead.load_speakers(split) for split in ("train", "test")],
)
