"""Scores a reader of documents against ground truth: text, tables, key values, speed."""

from internvl_loaders.errors import MissingDependencyError

try:
    from internvl_loaders.evaluate.result import DocumentReading, Evaluation, PageReading, Reader
    from internvl_loaders.evaluate.run import evaluate
except ModuleNotFoundError as error:
    if error.name not in {"apted", "lxml", "markdown_it", "rapidfuzz"}:
        raise
    raise MissingDependencyError(
        f"evaluation needs {error.name}", remedy="Install internvl-documents[evaluate]"
    ) from error

__all__ = ["DocumentReading", "Evaluation", "PageReading", "Reader", "evaluate"]
