"""The template bank: its scores, what its delays mean, and that they can be recovered."""

import numpy as np
import pytest
import torch

from course_lib.data import event_templates, make_events
from course_lib.models import EventTemplateBank, fill_from_snippets
from course_lib.models.template_bank import MARGIN, centred_and_clamped, delays_of, shift, stretch
from course_lib.sequence import check_contract, ragged


@pytest.fixture(scope="module")
def true():
    return event_templates()


def kernels_of(true, warp=1.0):
    """What each type looks like from 12 samples before its onset: (E, C, 104)."""
    times = np.arange(-MARGIN, 80.0 + MARGIN)
    return torch.tensor(true.render(np.arange(16), np.broadcast_to(times, (16, 104)), warp))


@pytest.fixture
def bank(true):
    bank = EventTemplateBank()
    bank.load_kernels(kernels_of(true), torch.tensor(true.skews))
    return bank


def test_keeps_the_contract_of_a_layer():
    for normalised in (True, False):
        check_contract(
            lambda normalised=normalised: EventTemplateBank(3, 4, 10, normalised=normalised).double(),
            ragged(4, lengths=(60, 41, 0)),
        )


def test_score_is_the_cosine_between_data_and_kernel(bank):
    x = torch.randn(1, 300, 6, generator=torch.Generator().manual_seed(0))
    onset, kind = 150, 3
    window, kernel = x[0, onset - MARGIN : onset + 80 + MARGIN].T, bank.kernels()[kind]
    cosine = torch.nn.functional.cosine_similarity(window.flatten(), kernel.flatten(), dim=0)
    torch.testing.assert_close(bank(x)[0, onset, kind], cosine)


@pytest.mark.parametrize("gain", [0.01, 1.0, 300.0])
def test_an_event_scores_one_at_its_onset_at_any_loudness(bank, gain):
    x = torch.zeros(1, 400, 6)
    x[0, 200 - MARGIN : 280 + MARGIN] = gain * bank.kernels()[5].T.detach()
    scores = bank(x)[0]
    assert scores.argmax() == 200 * 16 + 5
    torch.testing.assert_close(scores[200, 5], torch.tensor(1.0))
    assert scores.abs().max() <= 1 + 1e-5


def test_the_matched_filter_passes_white_noise_with_its_own_deviation(bank):
    bank.normalised = False
    x = 3 * torch.randn(8, 1500, 6, generator=torch.Generator().manual_seed(1))
    assert bank(x)[:, 100:-100].std().item() == pytest.approx(3, rel=0.05)


def test_silence_gives_finite_scores_and_gradients():
    bank = EventTemplateBank(2, 3, 20)
    x = torch.zeros(1, 60, 3, requires_grad=True)
    bank(x).sum().backward()
    assert x.grad.isfinite().all() and bank.templates.grad.isfinite().all() and bank.raw_delays.grad.isfinite().all()


def test_delays_have_mean_zero_and_stay_within_ten_samples():
    raw = 40 * torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    delays = centred_and_clamped(raw, 10.0)
    assert delays.abs().max() <= 10 + 1e-9
    torch.testing.assert_close(delays.mean(dim=1), torch.zeros(50, dtype=torch.float64))
    small = raw / 40
    torch.testing.assert_close(centred_and_clamped(small, 10.0), small - small.mean(dim=1, keepdim=True))


def test_a_common_shift_of_all_channels_changes_nothing(bank):
    before = bank.kernels()
    with torch.no_grad():
        bank.raw_delays += 3.7
    torch.testing.assert_close(bank.kernels(), before, atol=1e-4, rtol=1e-4)


def test_clamped_delays_have_the_right_gradient():
    raw = torch.tensor([[-30.0, -4.0, 1.0, 2.0, 5.5, 28.0]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda raw: centred_and_clamped(raw, 10.0), raw)


def test_shifts_by_whole_samples_are_exact_and_fractions_add_up():
    x = torch.randn(2, 3, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    delays = torch.tensor([[0.0, 3.0, -5.0], [1.0, 0.0, 7.0]], dtype=torch.float64)
    moved = shift(x, delays)
    for i, j in np.ndindex(2, 3):
        torch.testing.assert_close(moved[i, j], x[i, j].roll(int(delays[i, j])))
    x = torch.nn.functional.interpolate(x, 400, mode="linear")  # smooth: nothing at half the sampling rate
    torch.testing.assert_close(shift(shift(x, delays * 0.3), delays * 0.7), shift(x, delays), atol=1e-3, rtol=0)


def test_stretching_agrees_with_templates_rendered_longer(bank, true):
    for warp in (0.92, 1.08):
        error = (bank.kernels(warp) - kernels_of(true, warp)).norm() / kernels_of(true, warp).norm()
        assert error < 0.06
    assert stretch(bank.templates, 1.0).shape == (16, 6, 104)


def test_known_delays_are_recovered_by_gradient_descent(true):
    """Right waveforms, delays all zero at first, windows with events of all types: the delays find their way."""
    bank = EventTemplateBank()
    bank.load_kernels(kernels_of(true), torch.tensor(true.skews))
    with torch.no_grad():
        bank.templates.copy_(torch.tensor(true.waveforms))
        bank.raw_delays.copy_(
            torch.tensor(true.skews) + 1.5 * torch.randn(16, 6, generator=torch.Generator().manual_seed(4))
        )
    bank.templates.requires_grad_(False)
    data, labels, timings = make_events(200, seed=7, snr_db=10, distractor_rate=0)
    windows, types = np.nonzero(labels)
    onsets = np.floor(timings[windows, types]).astype(int)
    x = torch.tensor(np.stack([data[w, t - MARGIN : t + 80 + MARGIN].T for w, t in zip(windows, onsets, strict=True)]))
    late = torch.tensor(timings[windows, types] - onsets, dtype=torch.float32)[:, None].expand(-1, 6)
    x = shift(x, -late)  # (M, C, L), the onset on sample 12
    optimizer = torch.optim.Adam([bank.raw_delays], lr=0.2)
    for _ in range(60):
        kernels = bank.kernels()[torch.tensor(types)]
        loss = -torch.nn.functional.cosine_similarity(x.flatten(1), kernels.flatten(1)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    errors = (bank.delays().detach() - torch.tensor(true.skews)).abs()
    assert errors.median() < 0.15 and errors.quantile(0.95) < 0.8


def test_delays_are_read_off_kernels_whose_waveforms_are_not_known(true):
    errors = np.abs(delays_of(kernels_of(true)).numpy() - true.skews)
    assert np.median(errors) < 0.5 and np.quantile(errors, 0.95) < 1.5


def test_loaded_kernels_come_out_again_whatever_the_division(bank, true):
    guessed = EventTemplateBank()
    guessed.load_kernels(kernels_of(true))  # delays estimated
    error = (guessed.kernels() - kernels_of(true)).norm() / kernels_of(true).norm()
    assert error < 0.08  # what is cut off or rings at the templates' ends


def test_averaged_snippets_resemble_the_true_kernels(true):
    data, labels, timings = make_events(150, seed=8, snr_db=0)
    bank = EventTemplateBank()
    counts = fill_from_snippets(bank, data, labels, timings)
    assert counts.sum() == labels.sum()
    cosine = torch.nn.functional.cosine_similarity(bank.kernels().flatten(1), kernels_of(true).flatten(1))
    assert cosine.min() > 0.8


def test_a_type_without_labels_keeps_what_it_had():
    data, labels, timings = make_events(20, seed=9)
    labels[:, 4] = 0
    bank = EventTemplateBank()
    kernels, delays = bank.kernels()[4].detach().clone(), bank.delays()[4].detach().clone()
    assert fill_from_snippets(bank, data, labels, timings)[4] == 0
    torch.testing.assert_close(bank.kernels()[4], kernels)
    torch.testing.assert_close(bank.delays()[4], delays)


def test_refuses_what_does_not_fit():
    bank = EventTemplateBank()
    for shape in [(2, 100, 5), (2, 100, 7), (2, 6, 100)]:
        with pytest.raises(ValueError, match="x: expected"):
            bank(torch.zeros(shape))
    with pytest.raises(ValueError, match="kernels: expected \\(16, 6, 104\\)"):
        bank.load_kernels(torch.zeros(16, 6, 80))
    with pytest.raises(ValueError, match="delays: expected"):
        bank.load_kernels(torch.zeros(16, 6, 104), torch.zeros(16))
    with pytest.raises(ValueError, match="at least 1"):
        EventTemplateBank(0)
