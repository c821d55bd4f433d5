"""`audio FOLDER|TABLE`: a report on recordings of one's own; `audio predict MODEL FILES`: what a saved model says."""

import argparse
import sys
from pathlib import Path


def audio(arguments: argparse.Namespace) -> int:
    """Write the report, or, where the first word is `predict`, a table of predictions."""
    try:
        return _predict(arguments) if arguments.source == "predict" else _report(arguments)
    except (ValueError, OSError) as error:  # bad files, columns, folds or models, said by who met them
        print(error, file=sys.stderr)
        return 1


def _report(arguments: argparse.Namespace) -> int:
    import matplotlib

    from course_lib.course.audio_report import write_report
    from course_lib.data import load_audio_folder, load_audio_table

    matplotlib.use("agg")
    if arguments.files:
        print(f"expected one folder or table, got {arguments.source} and {arguments.files[0]}", file=sys.stderr)
        return 2
    form = {"sample_rate": arguments.rate, "duration": arguments.duration, "window": arguments.window}
    if Path(arguments.source).expanduser().is_dir():
        data = load_audio_folder(arguments.source, group=arguments.group, **form)
    else:
        columns = {"file": arguments.file, "label": arguments.label, "group": arguments.group, "sep": arguments.sep}
        data = load_audio_table(arguments.source, **columns, **form)
    print(data.describe())
    out = Path("report" if arguments.out is None else arguments.out).expanduser()
    print(write_report(data, out, arguments.epochs, arguments.folds, arguments.seed))
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from course_lib.estimator import AudioClassifier
    from course_lib.files import replacing

    if len(arguments.files) < 2:
        print("audio predict needs a model and at least one file", file=sys.stderr)
        return 2
    model, *files = arguments.files
    table = AudioClassifier.load(model).predict_files(files)
    if arguments.out is None:
        print(table.to_csv(index=False), end="")
    else:
        with replacing(Path(arguments.out).expanduser()) as temporary:
            table.to_csv(temporary, index=False)
    return 1 if (table["problem"] != "").any() else 0
