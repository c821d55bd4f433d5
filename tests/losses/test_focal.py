"""Focal loss: cross-entropy at gamma = 0, the formula elsewhere, stability, refusals."""

import pytest
import torch
import torch.nn.functional as F

from course_lib.losses import FocalLoss, binary_focal_loss, focal_loss

float64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=float64)


def same_with_gradients(ours, theirs, logits):
    torch.testing.assert_close(ours, theirs)
    ours, theirs = (torch.autograd.grad(loss.sum(), logits)[0] for loss in (ours, theirs))
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", ["classes", "soft", "dense"])
def test_gamma_zero_is_cross_entropy(reduction, label_smoothing, weighted, targets):
    logits = normal(6, 4, 3) if targets == "dense" else normal(6, 4)
    logits.requires_grad_()
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=float64) if weighted else None
    y = {
        "classes": torch.tensor([0, 1, 2, 3, 3, 0]),
        "soft": torch.softmax(normal(6, 4, seed=1), dim=1),
        "dense": torch.arange(18).view(6, 3) % 4,
    }[targets]
    options = {"weight": weight, "label_smoothing": label_smoothing, "reduction": reduction}
    same_with_gradients(focal_loss(logits, y, 0.0, **options), F.cross_entropy(logits, y, **options), logits)


@pytest.mark.parametrize("weight", [None, torch.tensor([0.25, 0.75], dtype=float64)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_gamma_zero_is_binary_cross_entropy(weight, reduction):
    logits, y = normal(5, 3).requires_grad_(), (normal(5, 3, seed=1) > 0).to(float64)
    each = None if weight is None else torch.where(y > 0, weight[1], weight[0])
    expected = F.binary_cross_entropy_with_logits(logits, y, each, reduction=reduction)
    same_with_gradients(binary_focal_loss(logits, y, 0.0, weight, reduction=reduction), expected, logits)
    torch.testing.assert_close(binary_focal_loss(logits, y > 0, 0.0, weight, reduction=reduction), expected)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_formula_by_hand(gamma):
    logits = torch.tensor([[2.0, 0.0, -1.0]], dtype=float64)
    p = torch.softmax(logits, dim=1)[0, 1].item()
    loss = focal_loss(logits, torch.tensor([1]), gamma)
    assert loss.item() == pytest.approx(-((1 - p) ** gamma) * torch.log(torch.tensor(p)).item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_is_two_classes_with_logits_zero_and_z(smoothing):
    z, y = normal(7), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    two = torch.stack([torch.zeros_like(z), z], dim=1)
    torch.testing.assert_close(
        binary_focal_loss(z, y, 2.0, label_smoothing=smoothing), focal_loss(two, y, 2.0, label_smoothing=smoothing)
    )


def test_easy_examples_count_less_the_larger_gamma_is():
    logits = torch.tensor([[4.0, 0.0], [0.3, 0.0]], dtype=float64)  # one easy, one hard
    y = torch.tensor([0, 0])
    losses = [focal_loss(logits, y, gamma, reduction="none") for gamma in (0.0, 1.0, 2.0)]
    ratios = [(easy / hard).item() for easy, hard in losses]
    assert ratios[0] > ratios[1] > ratios[2]


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("size", [50.0, 1e4])
def test_certain_answers_have_finite_loss_and_gradient(gamma, size):
    logits = torch.tensor([[size, -size], [-size, size]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0, 0]), gamma)
    binary = binary_focal_loss(logits, torch.tensor([[1, 1], [0, 0]]), gamma)
    (loss + binary).backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_gradients_are_those_of_the_loss():
    logits, y = normal(4, 3).requires_grad_(), torch.tensor([0, 1, 2, 1])
    weight = torch.tensor([1.0, 2.0, 0.5], dtype=float64)
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, y, 2.0, weight, 0.1), logits)
    assert torch.autograd.gradcheck(lambda z: binary_focal_loss(z, (z.detach() > 0), 1.5), logits)


def test_module_calls_the_functions():
    logits, y = normal(4, 3).float(), torch.tensor([0, 1, 2, 1])
    module = FocalLoss(gamma=1.5, weight=[1.0, 2.0, 0.5], label_smoothing=0.1)
    torch.testing.assert_close(module(logits, y), focal_loss(logits, y, 1.5, module.weight, 0.1))
    yes = y.float() / 2
    binary = FocalLoss(binary=True, weight=[0.25, 0.75])
    torch.testing.assert_close(binary(logits[:, 0], yes), binary_focal_loss(logits[:, 0], yes, 2.0, binary.weight))
    assert FocalLoss().double()(logits.double(), y).dtype == float64
    assert FocalLoss()(logits.bfloat16(), y).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: FocalLoss(gamma=-1), "gamma: expected at least 0"),
        (lambda: FocalLoss(label_smoothing=1.5), "label_smoothing: expected 0 to 1"),
        (lambda: FocalLoss(reduction="max"), 'reduction: expected "mean"'),
        (lambda: FocalLoss(binary=True, weight=[1.0, 2.0, 3.0]), "weight: expected two"),
        (lambda: focal_loss(torch.zeros(2, 3), torch.tensor([0, 3])), "expected classes from 0 to 2, got 0 to 3"),
        (lambda: focal_loss(torch.zeros(2, 3), torch.tensor([-1, 0])), "expected classes from 0 to 2, got -1 to 0"),
        (lambda: focal_loss(torch.zeros(2, 3), torch.tensor([0, 1, 2])), r"targets: expected integers \(2,\)"),
        (lambda: focal_loss(torch.zeros(2, 3), torch.zeros(2)), r"targets: expected probabilities \(2, 3\)"),
        (lambda: focal_loss(torch.zeros(2, 3), torch.tensor([True, False])), "targets: expected integers"),
        (lambda: focal_loss(torch.zeros(2), torch.tensor([0, 1])), r"logits: expected floating \(B, C, ...\)"),
        (lambda: focal_loss(torch.zeros(2, 3, dtype=torch.long), torch.tensor([0, 1])), "logits: expected floating"),
        (lambda: focal_loss(torch.zeros(2, 3), torch.tensor([0, 1]), weight=torch.ones(2)), r"weight: expected \(3,\)"),
        (lambda: binary_focal_loss(torch.zeros(2, 1), torch.zeros(2)), "logits, targets: expected one shape"),
        (lambda: binary_focal_loss(torch.zeros(2), torch.tensor([0, 2])), "targets: expected 0 to 1, got 0 to 2"),
    ],
)
def test_what_does_not_fit_is_named(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_nan_logits_give_a_nan_loss():
    assert focal_loss(torch.full((2, 3), torch.nan), torch.tensor([0, 1])).isnan()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 0.5])])
@pytest.mark.parametrize("targets", [torch.tensor([0, 2]), torch.tensor([[0.3, 0.0, 0.7], [1.0, 0.0, 0.0]])])
def test_a_class_that_is_ruled_out_costs_nothing(gamma, weight, targets):
    """As if the class were not there; with gamma 0 as PyTorch has it."""
    logits = torch.tensor([[2.0, -torch.inf, 1.0], [0.5, -torch.inf, 3.0]], requires_grad=True)
    loss = focal_loss(logits, targets, gamma, weight)
    loss.backward()
    assert logits.grad.isfinite().all() and (logits.grad[:, 1] == 0).all()
    far = torch.where(logits.isinf(), -1e4, logits.detach())
    torch.testing.assert_close(loss.detach(), focal_loss(far, targets, gamma, weight))
    if gamma == 0 and not targets.is_floating_point():
        torch.testing.assert_close(loss, F.cross_entropy(logits, targets, weight))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_target_that_is_ruled_out_costs_infinitely_much_with_a_finite_slope(gamma):
    logits = torch.tensor([[2.0, -torch.inf, 1.0]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([1]), gamma)
    loss.backward()
    assert loss == torch.inf and logits.grad.isfinite().all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_certain_answers_to_yes_or_no(gamma):
    logits = torch.tensor([torch.inf, -torch.inf, 0.3], requires_grad=True)
    loss = binary_focal_loss(logits, torch.tensor([1.0, 0.0, 1.0]), gamma, reduction="none")
    loss.sum().backward()
    assert (loss[:2] == 0).all() and loss[2] > 0
    assert logits.grad.isfinite().all() and (logits.grad[:2] == 0).all()
    wrong = torch.tensor([torch.inf, -torch.inf], requires_grad=True)
    loss = binary_focal_loss(wrong, torch.tensor([0, 1]), gamma)
    loss.backward()
    assert loss == torch.inf and wrong.grad.isfinite().all()
