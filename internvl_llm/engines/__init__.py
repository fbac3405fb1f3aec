"""Engines: each module runs InternVL one way, behind `internvl_llm.engine.Engine`."""
