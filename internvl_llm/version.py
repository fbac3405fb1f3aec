"""The version, apart from the package so that its own modules can name it."""

__version__ = "0.1.0"
