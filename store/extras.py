"""Optional dependencies: the extra of the distribution that installs a missing module."""

from __future__ import annotations

EXTRA_OF = {
    "torch": "apply",
    "diffusers": "apply",
    "transformers": "apply",
    "safetensors": "apply",
    "ray": "sweep",
    "torchvision": "sweep",
    "optuna": "sweep",
    "lpips": "sweep",
    "piq": "sweep",
    "streamlit": "dashboard",
    "starlette": "dashboard",
    "altair": "dashboard",
    "vl_convert": "dashboard",
    "pandas": "dashboard",
}
"""Module -> the smallest extra in pyproject.toml that brings it."""


def how_to_install(error: ModuleNotFoundError) -> str | None:
    """One line that says which extra to install; None for a module that belongs to no extra."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(module)
    if extra is None:
        return None
    if extra == "apply":
        return f'{module} is not installed: pip install "skipscope[sweep]"; "skipscope[apply]" to apply policies only'
    return f'{module} is not installed: pip install "skipscope[{extra}]"'
