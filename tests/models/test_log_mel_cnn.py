"""LogMelCNN: what it does not care about, what it can learn, and what it refuses."""

import pytest
import torch

from course_lib.models import LogMelCNN, LogMelFeatures


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LogMelCNN(num_classes=3)


def pictures(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(64, 63), (40, 101), (1, 1)])
def test_logits_for_pictures_of_any_size(model, size):
    assert model.eval()(pictures(2, *size)).shape == (2, 3)


def test_quarter_of_a_million_parameters():
    assert sum(parameter.numel() for parameter in LogMelCNN(num_classes=10).parameters()) == 243_178


def features(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LogMelFeatures(5, **options)


def test_a_seed_gives_the_same_first_weights_as_the_cnn():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cnn, after = LogMelCNN(), torch.nn.Linear(128 * 4, 5)
    own, theirs = features().state_dict(), cnn.features.state_dict()
    assert all(torch.equal(own[f"convolutions.{name}"], value) for name, value in theirs.items())
    assert torch.equal(own["project.weight"], after.weight)


def test_separable_convolutions_have_the_weights_of_filters_and_mixtures():
    widths = (4, 6, 5, 7)
    counts = [
        sum(p.numel() for p in features(widths=widths, separable=s).convolutions.parameters()) for s in (False, True)
    ]
    norms, pairs = 2 * sum(widths), [(4, 6), (6, 5), (5, 7)]
    assert counts[0] == 9 * 4 + sum(9 * before * after for before, after in pairs) + norms
    assert counts[1] == 9 * 4 + sum(9 * before + before * after for before, after in pairs) + norms
    assert features(widths=widths, separable=True)(pictures(2, 64, 63)).shape == (2, 8, 5)


def test_a_separable_convolution_is_one_whose_kernels_are_a_filter_times_a_number():
    plain, separable = features().eval(), features(separable=True).eval()
    with torch.no_grad():
        for i, j in ((3, 3), (6, 7), (9, 11)):  # where the convolutions stand
            filters, mixture = separable.convolutions[j], separable.convolutions[j + 1]
            plain.convolutions[i].weight.copy_(mixture.weight * filters.weight[:, 0])
        plain.convolutions[0].load_state_dict(separable.convolutions[0].state_dict())
        plain.project.load_state_dict(separable.project.state_dict())
    x = pictures(2, 64, 40)
    torch.testing.assert_close(plain(x), separable(x), atol=1e-5, rtol=1e-4)


def test_each_of_several_pictures_is_standardised_by_itself():
    model, x = features(pictures=2), pictures(8, 2, 64, 20)
    scaled = torch.stack([5 * x[:, 0] - 30, x[:, 1] / 7], dim=1)
    torch.testing.assert_close(model(scaled), model(x), atol=2e-3, rtol=2e-3)
    for shape in ((8, 64, 20), (8, 3, 64, 20), (8, 2, 0, 20)):
        with pytest.raises(ValueError, match=r"x: expected \(B, 2, 64, frames\), got"):
            model(torch.zeros(shape))


def test_training_output_does_not_depend_on_the_scale_and_offset_of_the_input(model):
    x = pictures(8, 64, 20)
    torch.testing.assert_close(model(5 * x - 30), model(x), atol=1e-3, rtol=1e-3)


def test_evaluation_uses_the_statistics_of_training(model):
    x = pictures(32, 64, 20) * 2.5 - 4
    for _ in range(100):  # the running averages forget where they began
        model(x)
    torch.testing.assert_close(model.standardise.running_mean, x.mean().reshape(1), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(model.standardise.running_var, x.var().reshape(1), rtol=1e-3, atol=1e-3)
    model.eval()
    torch.testing.assert_close(model(x[:1]), model(x)[:1])  # a clip's output does not depend on its batch


def test_a_shift_by_whole_strides_changes_little_but_the_edges(model):
    x = torch.zeros(1, 64, 80)
    x[:, 20:30, 24:40] = pictures(1, 10, 16)
    model.eval()
    torch.testing.assert_close(model(x.roll(16, dims=2)), model(x))


def test_learns_pitch_from_few_pictures(model):
    x = 0.1 * pictures(24, 64, 16)
    y = torch.arange(24) % 3
    for picture, label in zip(x, y, strict=True):
        picture[20 * label : 20 * label + 4] += 3
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(12):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert (model(x).argmax(1) == y).all()


@pytest.mark.parametrize("shape", [(64, 63), (2, 1, 64, 63)])
def test_wrong_ranks_are_named(model, shape):
    with pytest.raises(ValueError, match=r"x: expected \(B, num_mels, frames\), got"):
        model(torch.zeros(shape))


def test_too_few_classes_are_named():
    with pytest.raises(ValueError, match="num_classes: expected at least 2, got 1"):
        LogMelCNN(num_classes=1)


@pytest.mark.parametrize("wrong", [{"widths": (8, 8, 8)}, {"widths": (8, 8, 0, 8)}, {"pictures": 0}])
def test_sizes_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected .*at least 1, got"):
        LogMelFeatures(4, **wrong)
