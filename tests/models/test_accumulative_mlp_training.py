"""Training the accumulative MLP on windows: how far gradients go, validation, resuming, memory."""

import pytest
import torch

from course_lib.data import StreamManager
from course_lib.models import SignalAccumulativeMLP
from course_lib.training import fit, truncated_step
from tests.models.accumulative import make, randn

pytestmark = pytest.mark.usefixtures("seeded")


def test_the_stored_state_is_cut_from_its_graph():
    model = make(decay_kind="learned").train()
    for x in randn(4, 3, 5):  # the second backward pass would fail if the graph of the first were still there
        model(x).sum().backward()
    assert all(not sums.requires_grad for sums in model.accumulators.values())


def test_the_gradient_reaches_back_to_the_start_of_the_window_and_no_further():
    x = randn(2, 6, 5).requires_grad_()
    model = make(decay_kind="learned").train()
    model(x[:, :2])
    (gradient,) = torch.autograd.grad(model(x[:, 2:])[:, -1].sum(), x)
    assert not gradient[:, :2].any() and gradient[:, 2:].abs().amax(dim=2).all()


def test_a_learned_decay_gets_the_gradient_of_its_window():
    """Against finite differences of a window whose starting sums are held."""
    model = make(decay_kind="learned").double().train()
    before, window = randn(3, 9, 5).double(), randn(3, 4, 5, seed=1).double()
    model(before)
    start = model.accumulators
    model(window).square().sum().backward()
    gradient, logits = model.accumulator.decay_logit.grad.clone(), model.accumulator.decay_logit

    def loss(shift):
        model.accumulators = start
        with torch.no_grad():
            logits[0] += shift
            value = model(window).square().sum()
            logits[0] -= shift
        return value

    assert gradient[0].item() == pytest.approx(((loss(1e-5) - loss(-1e-5)) / 2e-5).item(), rel=1e-5)


def test_validation_neither_sees_nor_moves_the_sums_of_training():
    model, x = make().train(), randn(3, 5)
    model(x)
    training = model.accumulators
    model.eval()
    assert all(not sums.any() for sums in model.accumulators.values())
    model(randn(3, 5, seed=1))
    model.eval()  # no change of mode: goes on
    assert all(sums.any() for sums in model.accumulators.values())
    model.train()
    for name, sums in model.accumulators.items():
        assert torch.equal(sums, training[name])
    model.eval()
    assert all(not sums.any() for sums in model.accumulators.values())


def test_fit_validates_every_epoch_from_empty_sums():
    streams = StreamManager(seed=0)
    train, held = (streams.load_data(3, *streams.get_torch_batches(3, 40), steps=10) for _ in range(2))
    model = SignalAccumulativeMLP(8, 3, num_classes=4, hidden_sizes=())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    options = {"training_step": truncated_step(), "optimizer": optimizer, "device": "cpu", "progress": False}
    table = fit(model, train, epochs=3, validation=held, **options).table
    assert table.validation_loss.nunique() == table.train_loss.nunique() == 1


def test_a_resumed_run_goes_on_with_the_sums_it_had(tmp_path):
    class Stopped(Exception):
        pass

    def run(stop_after=None, folder=None):
        streams = StreamManager(seed=0)
        batches = list(streams.load_data(3, *streams.get_torch_batches(3, 40), steps=10))
        seen, step = [], truncated_step()

        def counted(model, batch):
            if stop_after is not None and len(seen) == stop_after:
                raise Stopped
            seen.append(None)
            return step(model, batch)

        torch.manual_seed(0)
        model = SignalAccumulativeMLP(8, 3, num_classes=4, hidden_sizes=(6,), decay_kind="learned")
        options = {"checkpoint_dir": folder, "checkpoint_every": 1, "device": "cpu", "progress": False}
        fit(model, batches, epochs=2, training_step=counted, **options)
        return model

    expected = run()
    with pytest.raises(Stopped):
        run(stop_after=6, folder=tmp_path)
    got = run(folder=tmp_path)
    for (name, a), b in zip(expected.state_dict().items(), got.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


@pytest.mark.slow
def test_memory_is_what_the_labels_need():
    """Streams of 20-step cues: without memory at chance, 1 in 4; with it above 95 %."""
    scores = {}
    for decay in (0.0, 0.9):
        streams = StreamManager(seed=0)
        train, held = (streams.load_data(n, *streams.get_torch_batches(n, 500), steps=50) for n in (32, 16))
        torch.manual_seed(0)
        model = SignalAccumulativeMLP(8, 32, decay, num_classes=4)
        optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
        step, quiet = truncated_step(), {"device": "cpu", "progress": False}
        table = fit(model, train, epochs=20, validation=held, training_step=step, optimizer=optimizer, **quiet).table
        scores[decay] = table.validation_accuracy.iloc[-1]
    assert scores[0.0] == pytest.approx(0.25, abs=0.02)
    assert scores[0.9] > 0.95
