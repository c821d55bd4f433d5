"""Exercises of notebook 16: a convolution on a stream, what it sees, how long it waits, and pooling under a mask."""

import torch
import torch.nn.functional as F

from course_lib.course.exercises import Draw, Edge, exercise


def _blocks(draw: Draw):
    for n, K in [(2, 2), (5, 4), (6, 3), (9, 5)]:
        yield draw.tensor(n), draw.tensor(K - 1), draw.tensor(K)
    empty = "With K = 1 nothing is kept. Mind that joined[-0:] is all of it."
    yield Edge((draw.tensor(4), draw.tensor(0), draw.tensor(1)), empty)
    short = "A block may be shorter than K - 1: cut the next buffer from buffer and block together."
    yield Edge((draw.tensor(1), draw.tensor(3), draw.tensor(4)), short)
    yield Edge((draw.tensor(2), draw.tensor(6), draw.tensor(7)), short)


def _filtered(x, w):
    return x.unfold(0, len(w), 1) @ w


def _output(join=lambda block, buffer: torch.cat([buffer, block]), weights=lambda w: w):
    """Only the outputs, of other samples or weights."""
    return lambda block, buffer, w: (_filtered(join(block, buffer), weights(w)), ...)


def _buffer(keep):
    """Only the next buffer: `keep(block, buffer, both joined, outputs)`."""

    def answer(block, buffer, w):
        joined = torch.cat([buffer, block])
        return ..., keep(block, buffer, joined, _filtered(joined, w))

    return answer


@exercise(
    notebook="16",
    title="One block of a convolution",
    minutes=10,
    inputs=_blocks,
    parts=("the outputs", "the next buffer"),
    mistakes=[
        (
            _output(lambda block, buffer: F.pad(block, (len(buffer), 0))),
            "Zeros stand where the buffer belongs: the past is forgotten.",
        ),
        (
            _output(lambda block, buffer: torch.cat([block, buffer])),
            "The buffer is older than the block: it goes in front, not behind.",
        ),
        (_output(lambda block, buffer: block), "Only windows inside the block are there: join buffer and block first."),
        (_output(weights=lambda w: w.flip(0)), "The kernel is flipped: w[-1] belongs to the newest sample."),
        (
            _output(lambda block, buffer: torch.cat([buffer.flip(0), block])),
            "The buffer is turned round: its last is the newest.",
        ),
        (
            _buffer(lambda block, buffer, joined, y: buffer),
            "The buffer comes back as it went in: it must move on with the block.",
        ),
        (
            _buffer(lambda block, buffer, joined, y: block[: len(buffer)]),
            "These are the first samples of the block: the next block needs the last ones.",
        ),
        (
            _buffer(lambda block, buffer, joined, y: joined[-len(buffer) - 1 :]),
            "One sample too many: the newest of K samples is the output's own, so K - 1 are kept.",
        ),
        (
            _buffer(lambda block, buffer, joined, y: joined[len(block) :].flip(0)),
            "The next buffer is turned round: keep the oldest sample first.",
        ),
        (_buffer(lambda block, buffer, joined, y: y[-len(buffer) :]), "These are outputs: the buffer keeps inputs."),
        (
            _buffer(lambda block, buffer, joined, y: block[-len(buffer) :]),
            "A block may be shorter than K - 1: cut the next buffer from buffer and block together.",
        ),
        (
            _buffer(lambda block, buffer, joined, y: F.pad(block, (len(buffer), 0))[-len(buffer) :]),
            "After a block shorter than K - 1, old samples are still needed, not zeros.",
        ),
    ],
    example=(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0, -1.0])),
    hints=[
        "The first output needs K samples, and the block holds only the newest of them. Where are the others?",
        ("Put together, oldest first, the samples are {}.", lambda block, buffer, w: torch.cat([buffer, block])),
        "Slide the weights over buffer and block together: that gives as many outputs as the block has samples. Keep "
        "the last "
        "K − 1 samples, by their place from the front: a slice from −0 would be everything.",
        "Begin with `joined = torch.cat([buffer, block])`, of shape (K − 1 + n,).",
    ],
)
def conv_step(block, buffer, w):
    """conv_step(block, buffer, w): block (n,), buffer (K - 1,), w (K,) -> outputs (n,), the next buffer (K - 1,)"""
    joined = torch.cat([buffer, block])  # (K - 1 + n,)
    return joined.unfold(0, len(w), 1) @ w, joined[len(block) :]


def _stacks(draw: Draw):
    yield [(3, 1, 1)]
    yield [(7, 2, 1)]
    yield [(3, 1, 1), (5, 2, 1), (4, 3, 3)]
    yield [(3, 2, 2), (5, 3, 1), (2, 2, 3), (4, 1, 2)]
    yield Edge(([],), "With no layer at all an output sees one input.")
    for layers in (2, 3, 5):
        yield [(draw.integer(2, 7), draw.integer(1, 3), draw.integer(1, 3)) for _ in range(layers)]


def _field(add=lambda K, dilation: (K - 1) * dilation, own=False, start=1, order=lambda all_: all_, strides=True):
    """A receptive field with one of its rules replaced."""

    def answer(layers):
        steps, jump = start, 1
        for kernel_size, stride, dilation in order(layers):
            jump *= stride if own else 1
            steps += add(kernel_size, dilation) * (jump if strides else 1)
            jump *= 1 if own else stride
        return steps

    return answer


def _product(layers):
    product = 1
    for kernel_size, _, _ in layers:
        product *= kernel_size
    return product


def _jump_of_one_layer(layers):
    steps, jump = 1, 1
    for kernel_size, stride, dilation in layers:
        steps += (kernel_size - 1) * dilation * jump
        jump = stride
    return steps


@exercise(
    notebook="16",
    title="The receptive field of a stack",
    minutes=8,
    inputs=_stacks,
    call=lambda fn, layers: fn(layers),
    mistakes=[
        (
            lambda layers: sum(K for K, _, _ in layers),
            "These are the kernel sizes added up: neighbouring windows overlap.",
        ),
        (_product, "The kernel sizes are multiplied: a layer adds to what the next one sees."),
        (
            lambda layers: sum((K - 1) * dilation + 1 for K, _, dilation in layers),
            "These are the extents added up: each further layer adds one less.",
        ),
        (
            _field(lambda K, dilation: K - 1),
            "The dilation is missing: between the first and the last tap lie (K - 1) * dilation.",
        ),
        (_field(strides=False), "The strides are missing: after a stride of 2, one step is two input steps."),
        (_field(own=True), "A layer's own stride counts for the layers after it, not for itself."),
        (_jump_of_one_layer, "Only the last stride counts here: the strides of all layers before multiply."),
        (
            _field(lambda K, dilation: K * dilation),
            _field(lambda K, dilation: K * dilation if dilation > 1 else K),
            "Each layer adds K - 1 taps, not K: one of them is there already.",
        ),
        (_field(start=0), "One is missing: with no layer at all, an output sees one input."),
        (
            _field(order=lambda layers: layers[::-1]),
            "The strides are taken from the wrong end: those of the layers before count.",
        ),
        (
            lambda layers: (layers[-1][0] - 1) * layers[-1][2] + 1 if layers else 1,
            "This is the last layer alone, counted in its own input steps.",
        ),
    ],
    example=([(3, 1, 1), (3, 2, 1), (2, 1, 2)],),
    hints=[
        "Each layer adds to the reach. How many steps does a kernel add at its own input, and how far apart are those?",
        ("Before the third layer an output sees {} inputs.", lambda layers: inputs_seen(layers[:2])),
        "Keep two numbers: the reach, 1 at first, and the jump, the product of the strides so far. A layer adds "
        "(kernel − 1) · dilation · jump, then the jump grows.",
        "Begin with `steps, jump = 1, 1`.",
    ],
)
def inputs_seen(layers):
    """inputs_seen(layers): [(kernel_size, stride, dilation), ...], first one first -> inputs an output sees"""
    steps, jump = 1, 1  # jump: input steps from one input of this layer to the next
    for kernel_size, stride, dilation in layers:
        steps += (kernel_size - 1) * dilation * jump
        jump *= stride
    return steps


def _paddings(draw: Draw):
    for sizes in [(2, 1, 1), (5, 1, 1), (8, 3, 1), (5, 3, 2), (6, 1, 1), (6, 2, 3), (9, 2, 1), (7, 4, 3)]:
        for padding in ("causal", "same", "reverse_causal"):
            yield *sizes, padding
    for _ in range(6):
        yield draw.integer(1, 12), draw.integer(1, 4), draw.integer(1, 4), draw.choice(("same", "reverse_causal"))


def _before(extent, padding):
    return {"causal": extent - 1, "same": (extent - 1) // 2, "reverse_causal": 0}[padding]


def _latency(
    out=lambda ahead, stride: ahead // stride,
    back=lambda late, ahead, stride: late * stride,
    extent=lambda K, dilation: (K - 1) * dilation + 1,
    ahead=lambda extent, padding: extent - 1 - _before(extent, padding),
):
    """Both latencies, with one of their rules replaced."""

    def answer(kernel_size, stride, dilation, padding):
        steps = ahead(extent(kernel_size, dilation), padding)
        return out(steps, stride), back(out(steps, stride), steps, stride)

    return answer


def _ahead(**rules):
    """How far a window reaches ahead of its step, by the mode's own rule or this one."""
    return lambda extent, padding: rules.get(padding, lambda e: e - 1 - _before(e, padding))(extent)


@exercise(
    notebook="16",
    title="Latency from the sizes",
    minutes=10,
    inputs=_paddings,
    parts=("output_latency", "input_latency"),
    mistakes=[
        (
            _latency(out=lambda ahead, stride: ahead, back=lambda late, ahead, stride: ahead),
            _latency(out=lambda ahead, stride: ahead),
            "This is the look-ahead f itself: outputs are counted in steps of the stride.",
        ),
        (
            _latency(out=lambda ahead, stride: -(-ahead // stride)),
            "Rounded up: the block with the output's own step brings stride - 1 later samples too. Round down.",
        ),
        (
            _latency(back=lambda late, ahead, stride: ahead),
            "input_latency is in whole blocks: the outputs that are late, times the stride.",
        ),
        (
            _latency(back=lambda late, ahead, stride: late),
            "input_latency is counted in input steps: an output is worth `stride` of them.",
        ),
        (lambda *a: latencies(*a)[::-1], "The two are swapped: the output latency comes first."),
        (lambda *a: (0, 0), "reverse_causal looks ahead: f is the extent minus 1."),
        (_latency(extent=lambda K, dilation: K), "The dilation is missing: the extent is (K - 1) * dilation + 1."),
        (
            _latency(ahead=_ahead(same=lambda e: e // 2, reverse_causal=lambda e: e)),
            "The window ends at extent - 1 steps after the output's own step, not at the extent.",
        ),
        (
            _latency(ahead=_ahead(same=lambda e: (e - 1) // 2)),
            "With an even kernel the halves differ: floor((e - 1) / 2) steps lie before, the rest ahead.",
        ),
        (
            _latency(ahead=_ahead(same=lambda e: e - 1)),
            "same is centred: part of the window lies before the output's own step.",
        ),
        (_latency(ahead=_ahead(causal=lambda e: e - 1)), "causal looks back only, so it waits for nothing."),
    ],
    example=(5, 2, 1, "same"),
    hints=[
        "How many steps after its own does a window reach? That is all that an output waits for.",
        (
            "The extent of the kernel is {} steps.",
            lambda kernel_size, stride, dilation, padding: (kernel_size - 1) * dilation + 1,
        ),
        "Extent − 1 is what lies before plus what lies after. The padding mode says how much lies before. Whole "
        "outputs: divide "
        "by the stride; input steps: that many times the stride.",
        "Begin with `extent = (kernel_size - 1) * dilation + 1`.",
    ],
)
def latencies(kernel_size, stride, dilation, padding):
    """latencies(kernel_size, stride, dilation, padding) -> (output_latency, input_latency), "causal", "same" or
    "reverse_causal"
    """
    extent = (kernel_size - 1) * dilation + 1
    before = {"causal": extent - 1, "same": (extent - 1) // 2, "reverse_causal": 0}[padding]
    late = (extent - 1 - before) // stride
    return late, late * stride


def _windows(draw: Draw):
    yield torch.tensor([[-3.0, -1.0, 5.0, 7.0]]), torch.tensor([[True, True, True, False]]), 2
    yield (
        torch.tensor([[-3.0, -1.0, -4.0, -1.5, -5.0, -9.0], [2.0, -7.0, -1.0, 8.0, 7.0, 7.0]]),
        torch.arange(6) < torch.tensor([[6], [3]]),
        2,
    )
    for B, N, K in [(1, 2, 1), draw.sizes(3, 2, 6), draw.sizes(3, 2, 6)]:
        mask = draw.mask(B, N * K)
        mask[0, K:] = False
        yield draw.tensor(B, N * K) - 1.0, mask, K
    mask = torch.tensor([[True, False, True, True, False, False]])
    through = "NaN in an invalid step comes through: NaN times 0 is NaN. Choose with torch.where."
    yield Edge((torch.where(mask, draw.tensor(1, 6), torch.nan), mask, 3), through, nan=through)
    yield Edge(
        (torch.tensor([[-3e9, 1.0, 2e30, 1.0]]), torch.tensor([[True, False, False, False]]), 2),
        "However small the valid values are, they count: the neutral value is -inf.",
    )


def _largest(fill=-torch.inf, empty=0.0, reduce=torch.amax):
    """Maxima with another filling, another value for an empty window, or another reduction."""

    def answer(x, mask, K):
        windows, valid = x.unflatten(1, (-1, K)), mask.unflatten(1, (-1, K))
        y = reduce(windows if fill is None else torch.where(valid, windows, fill), -1)
        return y if empty is None else torch.where(valid.any(-1), y, empty)

    return answer


@exercise(
    notebook="16",
    title="Maximum under a mask",
    minutes=8,
    inputs=_windows,
    mistakes=[
        (
            _largest(fill=None, empty=None),
            _largest(fill=None),
            "Padding wins: the invalid steps have to be out of the race.",
        ),
        (_largest(fill=0.0), "Invalid steps hold 0, which beats -1: the neutral value is -inf."),
        (_largest(empty=None), "A window without a valid step is left at minus infinity: give it 0."),
        (lambda *a: masked_max(*a).clamp(min=0), "The largest of negative numbers is negative: 0 must not take part."),
        (_largest(torch.inf, reduce=torch.amin), "This is the smallest value."),
        (_largest(-1e9, empty=None), "A window without a valid step shows your fill: give it 0."),
    ],
    example=(torch.tensor([[-3.0, -1.0, 5.0, 7.0]]), torch.tensor([[True, True, False, True]]), 2),
    hints=[
        "Which number loses against every other? Put it where a step is not valid.",
        (
            "With that, the windows are {}.",
            lambda x, mask, K: torch.where(mask, x, -torch.inf).unflatten(1, (-1, K)),
        ),
        "The maximum of each window; then 0 where the mask, cut into the same windows, has no True at all.",
        "Begin with `windows = torch.where(mask, x, -torch.inf).unflatten(1, (-1, K))`.",
    ],
)
def masked_max(x, mask, K):
    """masked_max(x, mask, K): x (B, T), mask (B, T), T a multiple of K -> (B, T / K); 0 where nothing is valid"""
    windows = torch.where(mask, x, -torch.inf).unflatten(1, (-1, K))  # (B, T / K, K)
    return torch.where(mask.unflatten(1, (-1, K)).any(-1), windows.amax(-1), 0.0)
