"""Scores a reader of documents against ground truth: text, tables, key values, speed."""

from internvl_loaders.evaluate.result import DocumentReading, Evaluation, PageReading, Reader
from internvl_loaders.evaluate.run import evaluate

__all__ = ["DocumentReading", "Evaluation", "PageReading", "Reader", "evaluate"]
