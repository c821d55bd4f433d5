"""Live sources: blocks in time, what a slow program loses, and devices that refuse, stall or are not there."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

import course_lib.layers as sl
from course_lib.data import FakeClock, Microphone, RealClock, Replay

SOUND = np.random.default_rng(0).standard_normal(1000).astype(np.float32)


def played(replay, clock, busy=0.0):
    """All blocks, for a program that is busy for so many seconds after each."""
    blocks = []
    for block in replay:
        blocks.append(block)
        clock.sleep(busy)
    return blocks


def test_a_block_arrives_when_its_last_sample_has_sounded():
    clock = FakeClock()
    blocks = played(Replay(SOUND, 1000, 300, clock=clock), clock)
    assert [block.first for block in blocks] == [0, 300, 600, 900]
    assert [block.arrived for block in blocks] == pytest.approx([0.3, 0.6, 0.9, 1.0])
    np.testing.assert_array_equal(np.concatenate([block.values for block in blocks]), SOUND)


def test_jitter_is_drawn_from_the_generator_and_keeps_the_order():
    def arrivals(seed):
        clock = FakeClock()
        replay = Replay(SOUND, 1000, 10, jitter=0.05, clock=clock, generator=np.random.default_rng(seed))
        return np.array([block.arrived for block in played(replay, clock)])

    late = arrivals(1) - np.arange(1, 101) / 100
    assert (np.diff(arrivals(1)) >= 0).all() and (late >= -1e-9).all() and 0.02 < late.max() <= 0.05
    np.testing.assert_array_equal(arrivals(1), arrivals(1))
    assert not np.array_equal(arrivals(1), arrivals(2))


@pytest.mark.parametrize(("busy", "dropped"), [(0.0, 0), (0.1, 0), (0.2, 46)])
def test_a_program_slower_than_the_sound_loses_blocks_once_the_queue_is_full(busy, dropped):
    """Blocks of 0.1 s: whoever needs 0.2 s for each gets every second one, and the four that the queue holds."""
    clock = FakeClock()
    replay = Replay(SOUND, 100, 10, waiting=4, clock=clock)
    blocks = played(replay, clock, busy)
    assert len(blocks) + replay.dropped == 100
    assert abs(replay.dropped - dropped) <= 2
    for block in blocks:  # whatever is lost, the numbers are right
        np.testing.assert_array_equal(block.values, SOUND[block.first : block.first + 10])


def test_one_pause_loses_what_the_queue_cannot_hold():
    clock = FakeClock()
    replay = Replay(SOUND, 1000, 10, waiting=5, clock=clock)
    firsts = []
    for block in replay:
        firsts.append(block.first)
        if block.first == 300:
            clock.sleep(0.2)  # 20 blocks
    assert replay.dropped == 15
    assert np.flatnonzero(np.diff(firsts) > 10).tolist() == [firsts.index(350)]


def test_arrays_of_any_lengths_and_generators_that_never_end():
    def tone():
        while True:
            yield np.ones(7)

    clock, blocks = FakeClock(), []
    for block in Replay(tone(), 1000, 16, clock=clock):
        blocks.append(block)
        if len(blocks) == 5:
            break
    assert [block.first for block in blocks] == [0, 16, 32, 48, 64]
    assert all(block.values.shape == (16,) and block.values.dtype == np.float32 for block in blocks)


def test_a_file_and_the_array_in_it_give_the_same(tmp_path):
    path = tmp_path / "two.wav"
    stereo = np.stack([SOUND, -SOUND], axis=1)
    soundfile.write(path, stereo, 1000, subtype="FLOAT")
    for source in (path, str(path)):
        clock = FakeClock()
        blocks = played(Replay(source, 1000, 128, clock=clock), clock)
        np.testing.assert_array_equal(np.concatenate([block.values for block in blocks]), stereo)


def test_a_file_of_another_rate_is_refused_before_it_is_played(tmp_path):
    path = tmp_path / "cd.wav"
    soundfile.write(path, SOUND, 44_100)
    with pytest.raises(ValueError, match=r"sample_rate: expected 16000 Hz, cd\.wav has 44100: resample"):
        Replay(path, 16_000)


def test_a_source_that_dies_gives_what_it_had_before_it_says_so():
    def dying():
        yield SOUND[:500]
        raise OSError("disk gone")

    clock, blocks = FakeClock(), []
    with pytest.raises(OSError, match="disk gone"):
        for block in Replay(dying(), 1000, 100, clock=clock):
            blocks.append(block)
            clock.sleep(0.35)  # slow: some wait in the queue when the end comes
    np.testing.assert_array_equal(np.concatenate([block.values for block in blocks]), SOUND[:500])


def test_a_lost_block_leaves_the_rest_of_the_stream_in_place():
    clock = FakeClock()
    layer = sl.Conv1D(1, 1, 5, padding="same").requires_grad_(False)
    whole = layer(torch.from_numpy(SOUND)[None, :, None])

    def late():
        for block in Replay(SOUND[:, None], 1000, 10, waiting=2, clock=clock):
            yield block
            clock.sleep(0.1 if block.first == 500 else 0.0)

    came = sl.Sequence.concatenate(list(sl.stream(layer, late())))
    lost = (~came.mask[0]).nonzero()[:, 0]
    assert came.shape == whole.shape and len(lost) == 80 and lost.min() == 530
    near = torch.zeros(1000, dtype=torch.bool)
    near[lost.min() - 2 : lost.max() + 3] = True
    torch.testing.assert_close(came.values[0, ~near], whole[0, ~near])
    assert (came.values[0, near] != whole[0, near]).any()


def test_the_real_clock_plays_in_real_time():
    clock = RealClock()
    start = clock.now()
    assert len(list(Replay(SOUND, 20_000, 500))) == 2
    assert 0.05 <= clock.now() - start < 1.0


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (SOUND, {"sample_rate": 0}, "sample_rate: expected at least 1, got 0"),
        (SOUND, {"block_size": 0}, "block_size: expected at least 1, got 0"),
        (SOUND, {"waiting": 0}, "waiting, jitter: expected at least 1 and 0, got 0"),
        (SOUND, {"jitter": 0.1}, "generator: jitter is drawn from one"),
        (np.zeros((2, 3, 4)), {}, r"source: expected \(samples,\) or \(samples, C\), got \(2, 3, 4\)"),
        ([np.zeros((9, 2)), np.zeros(9)], {}, r"like those before, \('n', 2\), got \(9,\)"),
    ],
)
def test_settings_and_arrays_that_do_not_fit(source, options, message):
    with pytest.raises(ValueError, match=message):
        list(Replay(source, **{"sample_rate": 1000, "clock": FakeClock(), **options}))


class FakeDevice:
    """Stands for sounddevice: hands over `blocks` in a thread of its own, as PortAudio does."""

    class PortAudioError(Exception):
        pass

    def __init__(self, blocks, refuses=False, overflow_at=None):
        self.blocks, self.refuses, self.overflow_at = blocks, refuses, overflow_at

    def InputStream(self, *, callback, samplerate, **settings):  # noqa: N802
        if self.refuses:
            raise self.PortAudioError("Invalid sample rate")
        device, self.settings = self, settings

        def hand_over():
            for n, block in enumerate(device.blocks):
                callback(block, len(block), None, SimpleNamespace(input_overflow=n == device.overflow_at))

        class Opened:
            def __enter__(self):
                device.thread = threading.Thread(target=hand_over)
                device.thread.start()

            def __exit__(self, *error):
                device.closed = True

        return Opened()


@pytest.fixture
def plug_in(monkeypatch):
    def plug_in(blocks, **options):
        device = FakeDevice(blocks, **options)
        monkeypatch.setitem(sys.modules, "sounddevice", device)
        return device

    return plug_in


def test_microphone_gives_what_the_device_hands_over(plug_in):
    device = plug_in(SOUND.reshape(10, 100, 1), overflow_at=3)
    microphone = Microphone(1000, 100, seconds=1.0, waiting=20)
    blocks = list(microphone)
    np.testing.assert_array_equal(np.concatenate([block.values for block in blocks]), SOUND)
    assert [block.first for block in blocks] == list(range(0, 1000, 100))
    assert (microphone.dropped, microphone.overflows, device.closed) == (0, 1, True)
    assert device.settings["blocksize"] == 100 and device.settings["dtype"] == "float32"


def test_microphone_counts_what_a_slow_program_loses_and_numbers_the_rest(plug_in):
    device = plug_in(SOUND.reshape(10, 100, 1))
    microphone = Microphone(1000, 100, waiting=3, timeout=0.1)
    running = iter(microphone)
    firsts = [next(running).first]
    device.thread.join()
    with pytest.raises(ConnectionError, match="no block for 0.1 s after sample"):
        for block in running:
            firsts.append(block.first)
    assert len(firsts) + microphone.dropped == 10 and microphone.dropped >= 6
    assert device.closed


def test_microphone_that_is_unplugged_says_so(plug_in):
    plug_in(SOUND[:300].reshape(3, 100, 1))
    came = []
    with pytest.raises(ConnectionError, match="after sample 300: was it unplugged"):
        for block in Microphone(1000, 100, timeout=0.05):
            came.append(block)
    assert len(came) == 3


def test_microphone_refuses_what_the_device_refuses(plug_in):
    plug_in([], refuses=True)
    with pytest.raises(ValueError, match="sample_rate, channels, device: .*'samplerate': 12345.*Invalid sample rate"):
        next(iter(Microphone(12_345)))


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ImportError, match=r"pip install .*course-lib\[live\]"):
        next(iter(Microphone(16_000)))
