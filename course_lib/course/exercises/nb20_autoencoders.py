"""Exercises of notebook 20: explained variance, the best linear bottleneck, and latents that are distributions."""

import torch

from course_lib.course.exercises import Draw, Hint, exercise


def _drawings(draw: Draw):
    x = torch.tensor([[[0.0], [1.0]], [[3.0], [2.0]]])
    yield x + torch.tensor([0.5]), x
    for B, T, C in [(1, 3, 2), (4, 5, 3), draw.sizes(3, 2, 6), draw.sizes(3, 2, 6)]:
        x = draw.tensor(B, T, C) * (0.5 + draw.tensor(C).abs()) + 3 * draw.tensor(C)
        yield x + 0.4 * draw.tensor(B, T, C), x


def _share(middle=lambda x: x.mean((0, 1)), of=lambda drawn, x: x):
    """The share with the spread measured from another middle, or of something else than x."""
    return lambda drawn, x: 1 - (drawn - x).square().sum() / (of(drawn, x) - middle(of(drawn, x))).square().sum()


def _by_channel(drawn, x):
    return 1 - (drawn - x).square().sum((0, 1)) / (x - x.mean((0, 1))).square().sum((0, 1))


@exercise(
    notebook="20",
    title="The share explained",
    minutes=6,
    inputs=_drawings,
    mistakes=[
        (_share(torch.mean), "One mean for all channels: channels far apart then look easy. Each has its own mean."),
        (_share(lambda x: x.mean(1, keepdim=True)), "A mean for each window: take it over windows and time together."),
        (_share(lambda x: 0.0), "The spread is measured from 0; measure it from each channel's mean."),
        (
            lambda *a: _by_channel(*a).mean(),
            "That is the mean of the channels' R². Add up over everything, then divide once.",
        ),
        (_by_channel, "One number a channel. Add up over everything, then divide once."),
        (lambda *a: 1 - _share()(*a), "That is the share left unexplained: subtract it from 1."),
        (_share(of=lambda drawn, x: drawn), "The spread is that of the drawing; compare with the spread of x."),
    ],
    example=(torch.tensor([[[1.0], [3.0]]]), torch.tensor([[[0.0], [4.0]]])),
    hints=[
        "Two sums of squares: how far the drawing is from x, and how far x is from its own mean.",
        ("The squared error is {} in all.", lambda drawn, x: (drawn - x).square().sum()),
        "The mean goes over windows and time, one for each channel. Both sums go over everything, and only then is "
        "divided.",
        "Begin with `error = (drawn - x).square().sum()`.",
    ],
)
def share_explained(drawn, x):
    """share_explained(drawn, x): both (B, T, C) -> R², a scalar; each channel's mean over windows and time"""
    error = (drawn - x).square().sum()
    spread = (x - x.mean(dim=(0, 1))).square().sum()
    return 1 - error / spread


def _steps(draw: Draw):
    for N, D, k in [(4, 3, 1), (12, 5, 2), (9, 4, 3), (20, 6, 1), (15, 5, 4)]:
        stretch = torch.tensor([3.0 * 0.6**i for i in range(D)])  # directions that differ, so that none is a tie
        turned = torch.linalg.qr(draw.tensor(D, D)).Q
        yield draw.tensor(N, D) * stretch @ turned + 2 * draw.tensor(D), k


def _best(rows, k):
    return torch.linalg.svd(rows, full_matrices=False)[2][:k]


def _redrawn(
    directions=lambda steps, centred, k: _best(centred, k),
    off=lambda steps: steps.mean(0),
    back=lambda steps: steps.mean(0),
):
    """Steps drawn from other directions, with other means taken off and added again."""

    def answer(steps, k):
        rows = directions(steps, steps - steps.mean(0), k)
        return (steps - off(steps)) @ rows.T @ rows + back(steps)

    return answer


def _none(steps):
    return 0.0


def _not_latents(fn, steps, k):
    answer = fn(steps, k)
    if hasattr(answer, "shape") and tuple(answer.shape) == (len(steps), k):
        raise Hint("These are the latents. Draw the steps again: multiply by the directions once more.")
    return answer


@exercise(
    notebook="20",
    title="Squeeze and draw again",
    minutes=10,
    inputs=_steps,
    call=_not_latents,
    rtol=1e-3,
    mistakes=[
        (
            _redrawn(lambda steps, centred, k: _best(steps, k), _none, _none),
            "The mean step was not taken away, so it uses up the best direction.",
        ),
        (_redrawn(back=_none), "The mean step has to be added again in the end."),
        (_redrawn(off=_none, back=_none), _redrawn(off=_none), "Take the mean step away before multiplying, too."),
        (
            _redrawn(lambda steps, centred, k: _best(centred, None)[-k:]),
            "These are the k worst directions: svd names the best first.",
        ),
        (_redrawn(lambda steps, centred, k: _best(centred, None)[:, :k].T), "Directions are rows of Vh, not columns."),
    ],
    example=(torch.tensor([[3.0, 0.0], [1.0, 1.0], [-1.0, -1.0], [1.0, 4.0]]), 1),
    hints=[
        "The directions are those of the distances from the mean step. So the mean goes away first, and what at the "
        "end?",
        ("The mean step is {}.", lambda steps, k: steps.mean(dim=0)),
        "Keep the first k rows of Vh. A product with them gives the latents, a second one draws them again; then the "
        "mean comes "
        "back.",
        "Begin with `middle = steps.mean(dim=0)`.",
    ],
)
def squeeze(steps, k):
    """squeeze(steps, k): (N, D) -> (N, D), drawn again from their products with the k best directions"""
    middle = steps.mean(dim=0)
    directions = torch.linalg.svd(steps - middle, full_matrices=False)[2][:k]  # (k, D)
    return (steps - middle) @ directions.T @ directions + middle


def _latents(draw: Draw):
    yield torch.tensor([0.0, 1.0]), torch.tensor([0.0, -0.7])
    yield torch.tensor([[0.0, 1.0, -2.0], [0.5, 3.0, 0.0]]), torch.tensor([[0.0, -0.7, 1.0], [-3.0, 0.2, 2.0]])
    for shape in ((3,), (2, 4), (2, 3, 5)):
        yield draw.tensor(*shape), draw.tensor(*shape)


def _price(mean=torch.square, variance=torch.exp, log=torch.neg, rest=-1.0):
    """Half the sum of its four terms, one of them another."""
    return lambda m, log_variance: (mean(m) + variance(log_variance) + log(log_variance) + rest) / 2


@exercise(
    notebook="20",
    title="The price of a latent",
    minutes=5,
    inputs=_latents,
    mistakes=[
        (lambda *a: 2 * latent_price(*a), "Twice as much as it should be: the sum is divided by 2."),
        (lambda *a: latent_price(*a).sum(), "Added up over all latents; keep one number for each."),
        (lambda *a: latent_price(*a).mean(), "Averaged over all latents; keep one number for each."),
        (lambda *a: -latent_price(*a), "The sign is turned: a divergence is never below 0."),
        (_price(log=lambda v: v), "The logarithm of the variance is subtracted, not added."),
        (_price(rest=0.0), "The 1 is missing: a standard normal has to cost 0."),
        (_price(mean=lambda m: m), "The mean counts squared: −2 is as far from 0 as 2."),
        (
            _price(variance=lambda v: v, log=lambda v: -v.log()),
            "The second argument is the logarithm of the variance already; take its exponential for the variance.",
        ),
        (
            _price(variance=lambda v: (v / 2).exp()),
            "exp(log_variance / 2) is the standard deviation; the formula has the variance.",
        ),
    ],
    example=(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])),
    hints=[
        "The formula above has a variance and its logarithm. Which of the two are you given?",
        ("The variances are {}.", lambda mean, log_variance: log_variance.exp()),
        "Four terms and a half: mean squared, variance, minus its logarithm, minus one. A latent as the prior has it "
        "costs 0.",
        "Begin with `variance = log_variance.exp()`.",
    ],
)
def latent_price(mean, log_variance):
    """latent_price(mean, log_variance): one shape -> that shape, the KL divergence from a standard normal in nats"""
    return (mean.square() + log_variance.exp() - log_variance - 1) / 2


def _noisy(draw: Draw):
    for shape in ((1,), (2,), (4, 2), (3, 5), (2, 3, 4)):
        yield draw.tensor(*shape), draw.tensor(*shape), draw.tensor(*shape)


@exercise(
    notebook="20",
    title="A draw that gradients pass",
    minutes=5,
    inputs=_noisy,
    gradients={
        "mean": "Right values, but no gradient passes to the mean: leave out `detach`, `no_grad` and `.data`.",
        "log_variance": "Right values, but the gradient reaches only one of mean and log_variance.",
    },
    mistakes=[
        (lambda m, v, noise: m + v.exp() * noise, "exp(log_variance) is the variance; noise is stretched by its root."),
        (lambda m, v, noise: m + v * noise, "The logarithm of the variance is no size: take exp(log_variance / 2)."),
        (lambda m, v, noise: m + noise, "The noise keeps variance 1; stretch it by the standard deviation."),
        (
            lambda m, v, noise: (v / 2).exp() * (m + noise),
            "The mean is stretched too; stretch the noise, then move it.",
        ),
        (lambda m, v, noise: m + (v / 2).exp(), "The noise is missing: every draw would be the same."),
        (lambda m, v, noise: m + (2 * v).exp() * noise, "Half the logarithm is the root: divide by 2, not multiply."),
    ],
    example=(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 2.0]), torch.tensor([0.5, -1.0])),
    hints=[
        "Noise of variance 1, times a number: what becomes of its variance? So which number is wanted?",
        ("The standard deviations are {}.", lambda mean, log_variance, noise: (log_variance / 2).exp()),
        "The root of a variance, given as a logarithm, is exp of half of it. Stretch the noise by that and move it to "
        "the mean.",
        "Begin with `deviation = torch.exp(log_variance / 2)`.",
    ],
)
def draw_latents(mean, log_variance, noise):
    """draw_latents(mean, log_variance, noise): all of one shape -> that shape; noise from a standard normal"""
    return mean + torch.exp(log_variance / 2) * noise
