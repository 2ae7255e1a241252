"""Other caches on a UNet: what they and a policy reuse would mix, so a policy is not applied beside one."""

from __future__ import annotations

from torch import nn

from compute.policy.skip_policy import PolicyError

_HOOKS = (
    "pyramid_attention_broadcast",
    "faster_cache",
    "fbc_",
    "mag_cache",
    "taylorseer",
    "sea_cache",
    "text_kv_cache",
)
"""How the names of diffusers' caching hooks begin."""
_PACKAGES = ("DeepCache", "tgate", "cache_dit", "FasterCache")
"""Packages that cache by replacing methods."""


def check_no_other_cache(unet: nn.Module) -> None:
    """Raise PolicyError where a cache of diffusers or of a known package is on."""
    for path, module in unet.named_modules():
        if (cache := _cache_on(module)) is not None:
            where = f"pipe.unet.{path}" if path else "pipe.unet"
            raise PolicyError(
                f"{where}: another cache is on ({cache}), and what it reuses would mix with what the policy reuses; "
                "turn it off first"
            )


def _cache_on(module: nn.Module) -> str | None:
    registry = getattr(module, "_diffusers_hook", None)
    names = [name for name in getattr(registry, "hooks", {}) if name.startswith(_HOOKS)]
    if names:
        return f"diffusers' {names[0]}"
    for value in list(module.__dict__.values()):
        package = str(getattr(value, "__module__", "")).partition(".")[0]
        if callable(value) and package in _PACKAGES:
            return package
    return None
