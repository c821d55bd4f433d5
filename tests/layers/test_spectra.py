"""Spectra against torch, librosa, SciPy and NumPy; what goes there and back arrives unchanged."""

import librosa
import numpy as np
import pytest
import torch
from scipy import signal

import course_lib.layers as sl
from course_lib.layers.windows import inverse_window_array, window_array
from course_lib.sequence import ragged


@pytest.fixture
def sound():
    return sl.random_sequence(1, 2000, seed=0, dtype=torch.float64)


@pytest.mark.parametrize("padding, shift", [("reverse_causal", 0), ("causal", 255), ("same", 127), ("valid", 0)])
def test_stft_equals_librosa_whole_and_streamed(sound, padding, shift):
    layer = sl.STFT(256, 64, padding=padding)
    for y in (layer.layer(sound), sl.stream(layer, sound, 128)):
        ours = y.values[0].numpy()
        padded = np.pad(sound.values[0].numpy(), (shift, 300))
        theirs = librosa.stft(padded, n_fft=256, hop_length=64, center=False, dtype=np.complex128).T
        np.testing.assert_allclose(ours, theirs[: len(ours)], atol=1e-9)


def test_stft_with_zeros_around_the_frame_equals_torch(sound):
    ours = sl.STFT(200, 50, 256, "hamming", fft_padding="center", padding="valid").layer(sound).values
    window = torch.hamming_window(200, dtype=torch.float64)
    padded = torch.nn.functional.pad(sound.values, (28, 28))
    theirs = torch.stft(padded, 256, 50, 200, window, center=False, return_complex=True).transpose(1, 2)
    torch.testing.assert_close(ours, theirs)


def test_stft_of_several_channels_and_magnitudes(sound):
    two = torch.stack([sound.values, -2 * sound.values], dim=2)
    both, one = sl.STFT(64, 32)(two), sl.STFT(64, 32)(sound.values)
    assert both.shape == (1, 63, 33, 2) and both.is_complex()
    torch.testing.assert_close(both[..., 1], -2 * one)
    torch.testing.assert_close(sl.STFT(64, 32, magnitude=True)(sound.values), one.abs())


def test_the_mask_of_a_streamed_stft_hides_its_latency(sound):
    layer = sl.STFT(256, 64, padding="reverse_causal")
    y, _ = layer.step(sound[:, :320], layer.initial_state(1, sound.spec))
    assert layer.output_latency == 3 and y.mask.tolist() == [[False] * 3 + [True] * 2]


@pytest.mark.parametrize("window", ["hann", "hamming", ("kaiser", 8.0), None])
@pytest.mark.parametrize("length, step, points", [(16, 8, 16), (16, 4, 32), (15, 4, 16), (12, 5, 12)])
def test_there_and_back_is_exact_from_the_second_frame_on(length, step, points, window):
    x = sl.random_sequence(2, 120, 2, seed=1, dtype=torch.float64)
    forward = sl.STFT(length, step, points, window, "reverse_causal")
    back = sl.InverseSTFT(length, step, points, window, "causal")
    chain = sl.Sequential([forward, back])
    y = chain.layer(x)
    torch.testing.assert_close(y.values[:, length:120], x.values[:, length:])
    streamed = sl.stream(chain, x, 3 * chain.block_size)
    torch.testing.assert_close(streamed.values, y.values)


def test_there_and_back_with_padding_on_both_sides_loses_nothing(sound):
    chain = sl.Sequential(
        [sl.STFT(64, 16, padding="semicausal_full"), sl.InverseSTFT(64, 16, padding="semicausal_full")]
    )
    for y in (chain.layer(sound), sl.stream(chain, sound, 32)):
        assert y.mask[:, :2000].all()
        torch.testing.assert_close(y.values[:, :2000], sound.values)


def test_inverse_stft_equals_torch_where_all_frames_exist(sound):
    spectra = sl.STFT(64, 16, padding="valid")(sound.values)
    ours = sl.InverseSTFT(64, 16, padding="full")(spectra)
    window = torch.hann_window(64, dtype=torch.float64)
    theirs = torch.istft(spectra.transpose(1, 2), 64, 16, window=window, center=True)
    torch.testing.assert_close(ours[:, 64:1900], theirs[:, 32:1868])  # torch cuts half a frame


def test_the_inverse_window_undoes_the_window():
    for length, step in ((16, 4), (16, 8), (15, 4), (6, 6), (4, 6)):
        forward, back = window_array("hamming", length), inverse_window_array("hamming", length, step)
        total = np.zeros(step)
        for i in range(length):
            total[i % step] += forward[i] * back[i]
        np.testing.assert_allclose(total[: min(step, length)], 1)
    assert inverse_window_array("hann", 4, 4).tolist()[0] == 0  # no frame has weight there: lost, but finite


def test_overlap_add_by_a_loop():
    for length, step in ((5, 2), (4, 4), (3, 5), (6, 1)):
        frames = torch.randn(2, 7, length, 3)
        expected = torch.zeros(2, 6 * step + max(length, step), 3)
        for t in range(7):
            expected[:, t * step : t * step + length] += frames[:, t]
        torch.testing.assert_close(sl.OverlapAdd(length, step, "full")(frames), expected)
        torch.testing.assert_close(sl.OverlapAdd(length, step, "causal")(frames), expected[:, : 7 * step])


def test_frames_and_overlap_add_count_how_often_a_sample_is_covered():
    x = torch.arange(1.0, 13).reshape(1, 12)
    y = sl.OverlapAdd(4, 2, "causal")(sl.Frame(4, 2, "reverse_causal")(x))
    assert (y / x).tolist() == [[1, 1] + [2] * 10]


def test_frames_lie_as_numpy_cuts_them():
    x = torch.arange(10.0).reshape(1, 10)
    expected = np.lib.stride_tricks.sliding_window_view(np.arange(10.0), 4)[::3]
    assert sl.Frame(4, 3, "valid")(x)[0].tolist() == expected.tolist()
    assert sl.Frame(4, 3, "causal")(x)[0, 1].tolist() == [0, 1, 2, 3]
    assert sl.Frame(4, 3, "reverse_causal")(x)[0, 3].tolist() == [9, 0, 0, 0]


@pytest.mark.parametrize("points", [None, 8, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_fourier_transforms_equal_numpy(points, dtype):
    x = torch.randn(2, 3, 5, 4, dtype=dtype)
    np.testing.assert_allclose(sl.FFT(points, axis=2)(x).numpy(), np.fft.fft(x.numpy(), points, axis=2), atol=1e-12)
    if dtype == torch.float64:
        np.testing.assert_allclose(sl.RFFT(points)(x).numpy(), np.fft.rfft(x.numpy(), points), atol=1e-12)


def test_inverse_fourier_transforms_undo_them():
    x = torch.randn(2, 3, 5)
    for padding in ("right", "center"):
        there = sl.FFT(9, padding=padding)(x)
        torch.testing.assert_close(sl.IFFT(5, padding=padding)(there).real, x)
        there = sl.RFFT(9, padding=padding)(x)
        torch.testing.assert_close(sl.IRFFT(9, 5, padding=padding)(there), x)


def test_slaney_mel_equals_librosa():
    expected = librosa.filters.mel(sr=22050, n_fft=512, n_mels=40, fmin=50, fmax=8000, dtype=np.float64)
    x = torch.rand(2, 3, 257, 2, dtype=torch.float64)
    y = sl.LinearToMel(257, 40, 22050, 50, 8000, "slaney")(x)
    np.testing.assert_allclose(y.numpy(), np.einsum("mk,btkc->btmc", expected, x.numpy()), atol=1e-12)


def test_htk_mel_triangles_are_straight_in_mel():
    layer = sl.LinearToMel(129, 6, 16000, 100, 7000)
    mel = 1127 * np.log(1 + np.linspace(0, 8000, 129) / 700)
    edges = np.linspace(*(1127 * np.log(1 + np.array([100, 7000]) / 700)), 8)
    matrix = layer(torch.eye(129, dtype=torch.float64)[None])[0].numpy()
    for band in range(6):
        expected = np.interp(mel, edges[band : band + 3], [0, 1, 0], left=0, right=0)
        np.testing.assert_allclose(matrix[:, band], expected, atol=1e-12)


def test_windows_are_scipys_and_take_the_precision_of_the_data():
    frames = torch.ones(1, 1, 9, 2, dtype=torch.float64)
    expected = signal.get_window("hann", 9, fftbins=True)
    np.testing.assert_allclose(sl.Window(9)(frames)[0, 0, :, 1].numpy(), expected, atol=1e-15)
    assert sl.Window(9)(frames.float()).dtype == torch.float32
    assert not sl.Window(9).state_dict()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sl.STFT(16, 4, 8), "fft_length: expected at least frame_length=16, got 8"),
        (lambda: sl.STFT(16, 4, fft_padding="left"), "fft_padding"),
        (lambda: sl.STFT(16, 4, window=np.ones(8)), "window: expected 16 samples"),
        (
            lambda: sl.STFT(4, 2)(torch.ones(1, 8, dtype=torch.long)),
            "x: expected real floating-point numbers, got torch.int64 in STFT",
        ),
        (lambda: sl.InverseSTFT(4, 2)(torch.ones(1, 8, 3)), "x: expected complex spectra"),
        (lambda: sl.InverseSTFT(4, 2)(torch.ones(1, 8, 4, dtype=torch.cfloat)), r"\(B, T, 3\)"),
        (lambda: sl.OverlapAdd(4, 2)(torch.ones(1, 8, 5)), r"expected \(B, T, 4\), got \(B, T, 5\)"),
        (lambda: sl.Window(4)(torch.ones(1, 8, 5)), r"expected \(B, T, 4\), got \(B, T, 5\)"),
        (lambda: sl.FFT(axis=1)(torch.ones(1, 8, 5)), "channel axis 1 in FFT"),
        (lambda: sl.RFFT()(torch.ones(1, 8, 5, dtype=torch.cfloat)), "floating-point numbers, .* in RFFT"),
        (lambda: sl.LinearToMel(9, 3, 16000, 0, 9000), "upper_edge_hertz"),
        (lambda: sl.LinearToMel(9, 3, 16000, scale="bark"), "scale: expected 'htk' or 'slaney'"),
        (lambda: sl.LinearToMel(9, 3, 16000)(torch.ones(1, 2, 8)), r"expected \(B, T, 9\), got \(B, T, 8\)"),
    ],
)
def test_refuses_what_does_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_ragged_items_end_where_their_signal_ends():
    x = ragged(lengths=(24, 10))
    spectra = sl.STFT(8, 4, padding="reverse_causal").layer(x)
    assert spectra.lengths.tolist() == [6, 3]
    back = sl.InverseSTFT(8, 4, padding="full").layer(spectra)
    assert back.lengths.tolist() == [28, 16]
    torch.testing.assert_close(back.values[1, 4:10], x.values[1, 4:10])


def test_fixed_arrays_are_exact_after_any_change_of_precision():
    layer = sl.Window(9)
    expected = torch.tensor(signal.get_window("hann", 9))
    frames = torch.ones(1, 1, 9)
    for converted in (layer, layer.half(), layer.float(), layer.double()):
        torch.testing.assert_close(converted(frames)[0, 0], expected.float(), rtol=0, atol=0)
        torch.testing.assert_close(converted(frames.double())[0, 0], expected, rtol=0, atol=0)
