"""What the recorded runs of the signal transformer rest on: equal models to compare, exact statistics, variants."""

import pytest
import torch

from course_lib.course.experiments import (
    series_classification,
    signal_transformer_speed,
    signal_transformer_synthetic,
)
from course_lib.models import SignalSequenceTransformer, SignalTransformerConfig
from course_lib.sequence import Sequence


@pytest.fixture(autouse=True)
def _own_random_state():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_pytorchs_blocks_make_a_model_of_equal_size():
    config = SignalTransformerConfig(num_classes=10)
    ours, theirs = SignalSequenceTransformer(config), signal_transformer_speed.with_torch_blocks(config)
    assert abs(count(theirs) / count(ours) - 1) < 0.002
    dropouts = {layer.p for layer in theirs.encoder.modules() if isinstance(layer, torch.nn.Dropout)}
    assert dropouts == {config.dropout}
    assert theirs(torch.randn(2, 64)).shape == (2, 10)


def test_exact_statistics_are_the_moments_of_the_whole_set():
    config = SignalTransformerConfig(3, 40, model_dim=8, num_layers=1, channels=(4, 6), strides=(2, 1), pooling_heads=2)
    model = SignalSequenceTransformer(config)
    momentum = model.features[0][1].momentum
    x = Sequence.of(3 + 5 * torch.randn(9, 40, 1))
    series_classification.exact_statistics(model, x)
    assert model.features[0][1].momentum == momentum
    stem = model.features[0][0].layer(x).values.detach()
    torch.testing.assert_close(model.features[0][1].running_mean, stem.mean(dim=(0, 1)))
    in_use = model.features.layer(x, training=False).values
    in_training = model.features.layer(x, training=True).values
    torch.testing.assert_close(in_use, in_training, rtol=0.05, atol=0.05)  # variances over n - 1 and over n


@pytest.mark.parametrize("name", signal_transformer_synthetic.VARIANTS)
def test_every_variant_can_be_built(name):
    options = {k: v for k, v in signal_transformer_synthetic.VARIANTS[name].items() if k != "loss"}
    model = SignalSequenceTransformer(SignalTransformerConfig(10, signal_transformer_synthetic.LENGTH, **options))
    assert model(torch.randn(2, 32)).shape == (2, 10)


@pytest.mark.cuda
def test_series_on_a_gpu_are_scored_and_settled_there():
    x, mask = torch.randn(20, 40, 1), torch.ones(20, 40, dtype=torch.bool)
    part = (x, mask, torch.arange(20) % 2)
    data = series_classification.SeriesSet(part, part, ("a", "b"))
    found = series_classification.train(data, series_classification.Recipe(), 0, steps=1)
    assert 0 <= found["running statistics"] <= 1 and 0 <= found["accuracy"] <= 1
