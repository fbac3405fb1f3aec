"""InternVL3 as a local multimodal model; importing it loads neither torch nor a framework."""

from internvl_llm.errors import InternVLError, MissingDependencyError, OptionError

__version__ = "0.1.0"

__all__ = ["InternVLError", "MissingDependencyError", "OptionError", "__version__"]
