"""A layer's step, a layer or a model as one ONNX file, and what runs such a file with onnxruntime and NumPy alone.

`export` writes the file and needs PyTorch; `Stream` and `Model` read it and do not import it.
Both need the extra `export`: pip install "course-lib[export]".
"""

from typing import TYPE_CHECKING, Any

from course_lib.export.runtime import Model, Stream

if TYPE_CHECKING:
    from course_lib.export.to_onnx import export

__all__ = ["Model", "Stream", "export"]


def __getattr__(name: str) -> Any:
    if name == "export":  # PyTorch is imported where a file is written, not where it is run
        from course_lib.export.to_onnx import export

        return export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
