"""TransformerClassifier with 1, 2, 3 and 4 heads on log-mel tokens of ESC-10, on the folds of the CNN's run.

As in `audio_cnn`: fold 5 held out, 4-fold validation on the rest, the last epoch's weights. The recipe is that of
`encoder_repairs` with all repairs: log-mel pictures, 80 ms a column; 48 channels, here 2 blocks and 60 epochs. More
heads are narrower heads, so all four models have the same number of parameters. Computed in bfloat16 where autocast
takes it; about one and a half CPU minutes a head count. A run that was stopped goes on after the last fold that it
finished.

Writes figures/results/attention_heads.csv and, under figures/results/detail/, attention_heads_predictions.csv
(out-of-fold logits of the 320 clips).
"""

import shutil
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from course_lib.course.experiments import results
from course_lib.course.experiments._resume import once
from course_lib.course.experiments.audio_cnn import TEST_FOLD
from course_lib.course.experiments.encoder_repairs import PICTURE_RATE, Setting, repaired, train
from course_lib.course.experiments.log_mel_cnn import average_pairs
from course_lib.data import AudioData, load_esc10, log_mel
from course_lib.files import replacing
from course_lib.models import LogMelFeatures, TransformerClassifier
from course_lib.paths import RESULTS, cache_dir
from course_lib.training import predict
from course_lib.training.rng import isolated

HEADS = (1, 2, 3, 4)
FOLDS = (1, 2, 3, 4)
EPOCHS = 60
EMBED_DIM, BLOCKS = 48, 2


def add_arguments(parser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="weights and order of clips (default: %(default)s)")


def run(arguments) -> None:
    data = load_esc10(sample_rate=PICTURE_RATE)
    pictures = average_pairs(log_mel(data.signals, PICTURE_RATE, cache=True))  # (400, 64, 63)
    unfinished = cache_dir() / f"attention-heads-{arguments.seed}"
    setting = replace(repaired(), epochs=EPOCHS)
    done = {}
    for heads in HEADS:
        for fold in FOLDS:
            file = unfinished / f"{heads}-{fold}.json"
            measure = partial(_one_fold, pictures, data, heads, fold, setting, arguments.seed)
            done[heads, fold] = once(file, measure)
            print(f"heads {heads}, fold {fold}: {done[heads, fold]['validation accuracy']:.3f}", flush=True)
    _record(done, data, arguments)
    shutil.rmtree(unfinished)


def _one_fold(x: np.ndarray, data: AudioData, heads: int, fold: int, setting: Setting, seed: int) -> dict:
    """Train on three folds.  Scores on the training, validation and test clips, validation logits, CPU seconds."""
    started = time.process_time()
    pictures, labels = torch.from_numpy(x), torch.from_numpy(data.labels)
    held_out, test = data.folds == fold, data.folds == TEST_FOLD
    rows = torch.from_numpy(np.flatnonzero(~held_out & ~test))
    with isolated(seed, torch.device("cpu")):
        model = TransformerClassifier(10, EMBED_DIM, heads, BLOCKS, features=LogMelFeatures(EMBED_DIM, x.shape[1]))
    train(model, pictures[rows], labels[rows], setting, seed, amp=True)
    seconds = time.process_time() - started
    logits = predict(model, pictures, batch_size=80, amp=True)
    right = logits.argmax(1) == data.labels
    probabilities = torch.from_numpy(logits[held_out]).softmax(1).numpy()
    return {
        "training accuracy": right[rows].mean(),
        "validation accuracy": right[held_out].mean(),
        "macro F1": f1_score(data.labels[held_out], logits[held_out].argmax(1), average="macro"),
        "ROC AUC": roc_auc_score(data.labels[held_out], probabilities, multi_class="ovr", labels=range(10)),
        "test accuracy": right[test].mean(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": seconds,
        "logits": logits[held_out].tolist(),
    }


def _record(done: dict, data: AudioData, arguments) -> None:
    """Write the table, std over the four folds, and the out-of-fold logits."""
    rows, predictions = [], []
    for heads in HEADS:
        folds = pd.DataFrame([done[heads, fold] for fold in FOLDS], index=FOLDS)
        common = {"seeds": 1, "seconds": round(folds["seconds"].sum())}
        for name in folds.columns.drop(["seconds", "logits"]):
            value, spread = round(folds[name].mean(), 4), round(folds[name].std(), 4)
            rows.append({"measure": f"{heads} heads | {name}", "value": value, "std": spread} | common)
        for fold in FOLDS:
            held_out = np.flatnonzero(data.folds == fold)
            clips = {"file": np.array(data.files)[held_out], "label": data.labels[held_out], "fold": fold}
            logits = pd.DataFrame(folds.loc[fold, "logits"]).add_prefix("logit_")
            predictions.append(pd.concat([pd.DataFrame(clips).assign(heads=heads), logits], axis=1))
        together = pd.concat(predictions[-len(FOLDS) :])
        share = accuracy_score(together["label"], together.filter(like="logit_").to_numpy().argmax(1))
        print(f"heads {heads}: {share:.3f} of {len(together)} clips")
    results.record("attention_heads", rows, arguments.command)
    with replacing(RESULTS / "detail" / "attention_heads_predictions.csv") as temporary:
        pd.concat(predictions).to_csv(temporary, index=False, float_format="%.4f", lineterminator="\n")
