"""Every model, loss, trainer and detector off the CPU: on a device without float64, and on a GPU."""

import contextlib

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_lib import losses, models
from course_lib.data import event_templates, make_events
from course_lib.data.datasets import EventBatch
from course_lib.events import LiveDetector, detect_events_from_sequence
from course_lib.training import ContrastiveTrainer, SupervisedTrainer, UnsupervisedTrainer, device, fit

EVENTS, CHANNELS, STEPS = 3, 2, 45
SMALL = {"hidden_size": 8, "num_layers": 1}
EVENT_SIZES = {"input_size": CHANNELS, "num_events": EVENTS}


def transformer(**options):
    return models.SignalSequenceTransformer(
        models.SignalTransformerConfig(4, 256, model_dim=16, num_layers=1, channels=(8, 8), strides=(2, 2), **options)
    )


# name: (model, shape of its input)
MODELS = {
    "AudioCNN": (lambda: models.AudioCNN(4, 800), (2, 1, 800)),
    "ChannelsLast": (lambda: models.ChannelsLast(models.AudioCNN(4, 800)), (2, 1, 800)),
    "PooledAudioCNN": (lambda: models.PooledAudioCNN(4), (2, 1, 800)),
    "RingFinder": (lambda: models.RingFinder(100), (2, 1, 64)),
    "LogMelCNN": (lambda: models.LogMelCNN(4), (2, 64, 40)),
    "LogMelFeatures": (lambda: models.LogMelFeatures(8), (2, 64, 40)),
    "SmallKernelFeatures": (lambda: models.SmallKernelFeatures(8), (2, 1, 800)),
    "WaveformFeatures": (lambda: models.WaveformFeatures(8), (2, 1, 800)),
    "AttentiveCNN": (lambda: models.AttentiveCNN(4, 16), (2, 64, 40)),
    "LearnedFilterbank": (lambda: models.LearnedFilterbank(8000, 16, 128, 64), (2, 1, 2000)),
    "TransformerClassifier": (lambda: models.TransformerClassifier(4), (2, 1, 3000)),
    "DeeplySupervised": (lambda: models.DeeplySupervised(models.TransformerClassifier(4)), (2, 1, 3000)),
    "rotary": (transformer, (2, 200)),
    "sinusoidal": (lambda: transformer(positions="sinusoidal", pooling="cls"), (2, 200)),
    "learned positions": (lambda: transformer(positions="learned", pooling="max"), (2, 200)),
    "PooledClassifier": (lambda: models.PooledClassifier(models.LogMelFeatures(8), "CLS", 8, 4), (2, 64, 40)),
    "LastStepClassifier": (lambda: models.LastStepClassifier(Outputs(3, 8), 8, 4), (2, 9, 3)),
    "StepLabeller": (lambda: models.StepLabeller("sinusoidal, random start", 3, 4, 10), (2, 10, 3)),
    "StepLabeller, rotary": (lambda: models.StepLabeller("rotary, horizon 8", 3, 4, 10), (2, 10, 3)),
    "StepLabeller, bias": (lambda: models.StepLabeller("T5 bias", 3, 4, 10), (2, 10, 3)),
    "OrderClassifier": (lambda: models.OrderClassifier("relative bias", 3), (2, 10, 3)),
    "SignalAccumulativeMLP": (lambda: models.SignalAccumulativeMLP(5, 2), (2, 3, 5)),
    "EventDetector": (lambda: models.EventDetector(**EVENT_SIZES, width=16), (2, STEPS, CHANNELS)),
    "LSTMEventClassifier": (lambda: models.LSTMEventClassifier(**EVENT_SIZES, **SMALL), (2, STEPS, CHANNELS)),
    "with both repairs": (
        lambda: models.LSTMEventClassifier(**EVENT_SIZES, **SMALL, front_end=True, residual=True, presence="logsumexp"),
        (2, STEPS, CHANNELS),
    ),
    "EventSpecificClassifier": (lambda: models.EventSpecificClassifier(**EVENT_SIZES, **SMALL), (2, STEPS, CHANNELS)),
    "EventTemplateBank": (lambda: models.EventTemplateBank(EVENTS, CHANNELS), (2, STEPS, CHANNELS)),
    "LSTMAutoencoder": (lambda: models.LSTMAutoencoder(CHANNELS, **SMALL), (2, STEPS, CHANNELS)),
    "LSTMVariationalAutoencoder": (lambda: models.LSTMVariationalAutoencoder(CHANNELS, **SMALL), (2, STEPS, CHANNELS)),
    "ContrastiveLSTM": (lambda: models.ContrastiveLSTM(CHANNELS, 8, num_layers=1), (2, STEPS, CHANNELS)),
}


class Outputs(nn.LSTM):
    """The outputs alone."""

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size, batch_first=True)

    def forward(self, x):
        return super().forward(x)[0]


class NoFloat64(TorchDispatchMode):
    """What Apple's MPS does: any operation that makes a float64 tensor on the device is refused."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            double = isinstance(leaf, torch.Tensor) and leaf.dtype in (torch.float64, torch.complex128)
            if double and leaf.device.type == "meta":
                raise TypeError(f"Cannot convert a MPS Tensor to float64 dtype ({func})")
        return out


def of(values):
    return (values,) if isinstance(values, torch.Tensor) else tuple(values)


def loss_of(model, x, device):
    """The loss that the model is trained with, of made-up targets."""
    outputs = model(x)
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0]], device=device)
    timings = torch.tensor([[13.25, torch.nan, 25.0], [torch.nan, 39.0, torch.nan]], device=device)
    match model:
        case models.EventDetector():
            return losses.HeatmapLoss()(outputs, labels, timings)["loss"]
        case models.LSTMEventClassifier():
            return losses.EventTimingLoss()(*outputs, labels, timings)["loss"]
        case models.EventSpecificClassifier():
            return losses.EventSpecificLoss()(*outputs, labels, timings)["loss"]
        case models.LSTMVariationalAutoencoder():
            return losses.VariationalLoss().to(device)(*outputs, x)["loss"]
        case models.LSTMAutoencoder():
            return losses.AutoencoderLoss()(outputs, x)["loss"]
        case models.ContrastiveLSTM():
            return model.loss(outputs, outputs.flip(1))["loss"]
    logits = of(outputs)[0]
    classes = torch.zeros(len(logits), *logits.shape[2:], dtype=torch.long, device=device)
    return losses.FocalLoss(weight=torch.ones(logits.shape[1])).to(device)(logits, classes)


def binary(model, x, device):
    logits = of(model(x))[0]
    return losses.FocalLoss(binary=True).to(device)(logits, torch.zeros_like(logits))


@pytest.mark.parametrize(("name", "loss"), [*((name, loss_of) for name in MODELS), ("AudioCNN", binary)])
def test_no_model_and_no_loss_makes_float64_on_the_device(name, loss):
    make, shape = MODELS[name]
    model = make()
    with NoFloat64():
        model = model.to("meta")
        x = torch.empty(shape, device="meta")
        loss(model, x, "meta").backward()
        if isinstance(model, models.EventDetector | models.LSTMEventClassifier | models.EventSpecificClassifier):
            model.eval().frame_scores(x)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_a_detector_by_templates_moves_to_a_device_without_float64():
    with NoFloat64():
        template_detector().to("meta")


def template_detector():
    true = event_templates(EVENTS, CHANNELS)
    bank = models.EventTemplateBank(EVENTS, CHANNELS)
    times = np.broadcast_to(np.arange(-12.0, 92), (EVENTS, 104))
    bank.load_kernels(torch.tensor(true.render(np.arange(EVENTS), times)))
    return models.TemplateDetector(bank, np.array([1.0, -0.3])).eval()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", MODELS)
def test_models_and_losses_on_a_gpu_are_those_on_the_cpu(name):
    make, shape = MODELS[name]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        expected = of(model(x))
        if name == "SignalAccumulativeMLP":
            model.reset_accumulators()
        got = of(model.cuda()(x.cuda()))
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-3, atol=1e-3)
    if name != "EventTemplateBank":
        loss_of(model.train(), x.cuda(), "cuda").backward()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_detectors_and_templates_on_a_gpu():
    data, labels, timings = make_events(12, 800, EVENTS, CHANNELS, seed=0)
    detector = template_detector()
    expected = detector.frame_scores(torch.from_numpy(data))
    got = detector.cuda().frame_scores(torch.from_numpy(data).cuda())
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-3, atol=1e-3)
    models.fill_from_snippets(detector.bank, data, labels, timings)
    models.noise_filter(detector.bank, data)
    models.expectation_maximisation(detector.bank, data, rounds=1, anchors=(data, labels, timings))
    detector.prepare()
    detect_events_from_sequence(detector, torch.from_numpy(data).cuda(), window=400, margin=50)
    LiveDetector(detector, window=400, margin=50, amp=True).push(torch.from_numpy(data[0]).cuda())


@pytest.fixture
def on_meta(monkeypatch):
    """The device `meta` as one without float64 on which `fit` runs: a number read off it is 1, autocast is left out."""
    number = {"item": lambda x: 1.0, "__float__": lambda x: 1.0, "__bool__": lambda x: True, "__int__": lambda x: 1}
    number["cpu"] = lambda x: torch.ones(x.shape, dtype=x.dtype)
    for name, stand_in in number.items():
        real = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda x, real=real, fake=stand_in, **k: fake(x) if x.is_meta else real(x, **k)
        )
    autocast = torch.autocast
    monkeypatch.setattr(torch, "autocast", lambda d, **k: contextlib.nullcontext() if d == "meta" else autocast(d, **k))
    monkeypatch.setattr(device, "NO_FLOAT64", {"meta"})
    with NoFloat64():
        yield "meta"


def train_each(**options):
    """One step of each trainer and of `fit`, on float64 targets, as NumPy makes them."""
    data, labels, timings = (torch.from_numpy(part) for part in make_events(4, 130, EVENTS, CHANNELS, seed=0))
    lengths, options = torch.full((4,), 130), {"num_epochs": 1, "clip_norm": 1.0, "progress": False} | options
    classifier = MODELS["LSTMEventClassifier"][0]()
    trainer = SupervisedTrainer(classifier, losses.EventTimingLoss(), torch.optim.Adam(classifier.parameters()))
    assert timings.dtype == torch.float64
    trainer.fit([EventBatch(data, lengths, labels, timings, torch.full(labels.shape, -1))], **options)
    autoencoder = MODELS["LSTMAutoencoder"][0]()
    trainer = UnsupervisedTrainer(autoencoder, losses.AutoencoderLoss(), torch.optim.Adam(autoencoder.parameters()))
    trainer.fit([(data, lengths)], **options)
    contrastive = MODELS["ContrastiveLSTM"][0]()
    trainer = ContrastiveTrainer(contrastive, torch.optim.Adam(contrastive.parameters()))
    trainer.fit([(data, data.flip(1), lengths)], **options)
    make, shape = MODELS["LogMelCNN"]
    options["epochs"] = options.pop("num_epochs")
    fit(make(), [(torch.randn(shape), torch.tensor([0, 1]))], **options)


def test_no_trainer_puts_float64_on_the_device(on_meta):
    train_each(device=on_meta)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_trainers_on_a_gpu():
    train_each()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "name", [name for name in MODELS if name != "EventTemplateBank"]
)  # a layer: it names the dtype
def test_a_model_takes_floating_inputs_of_any_width_and_answers_in_float32(name, dtype):
    make, shape = MODELS[name]
    torch.manual_seed(0)
    x = torch.randn(shape).to(dtype)
    answers = []
    for given in (x, x.float()):
        torch.manual_seed(1)
        with torch.no_grad():
            answers.append(of(make().eval()(given)))
    for got, expected in zip(*answers, strict=True):
        torch.testing.assert_close(got, expected)  # float32 by its dtype
