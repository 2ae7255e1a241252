"""Labels of metrics, of the scales of impact, and of the evidence for the phases."""

from __future__ import annotations

from compute.analysis.impact.ablation_impact import Impact
from compute.analysis.report.phase_sentences import evidence_name

_LABELS = {
    "mse": "Mean squared error",
    "rel_l2": "Relative L2 distance",
    "ssim": "SSIM",
    "haarpsi": "HaarPSI",
}
_FIDELITY, _OTHER = "fidelity_", "other_"


def metric_label(name: str, own_label: str = "") -> str:
    """Return the label of a metric: the dashboard's, else the one that the metric carries, else its name."""
    if name.startswith(_FIDELITY):
        return _fidelity_label(name.removeprefix(_FIDELITY))
    text = _LABELS.get(name) or own_label or name.replace("_", " ")
    return text[0].upper() + text[1:]


def _fidelity_label(aspect: str) -> str:
    """Return `Prompt fidelity: objects`; also for fidelity to the other prompt of a prompt switch."""
    of_other = ", other prompt" if aspect.startswith(_OTHER) else ""
    return f"Prompt fidelity: {evidence_name(aspect.removeprefix(_OTHER))}{of_other}"


def metric_in_sentence(name: str, own_label: str = "") -> str:
    """Return the label of a metric as it is written within a sentence."""
    return in_sentence(metric_label(name, own_label))


def in_sentence(label: str) -> str:
    """Return a label with a lower-case first letter, unless its first word is an abbreviation."""
    first = label.partition(" ")[0]
    return label if any(letter.isupper() for letter in first[1:]) else label[:1].lower() + label[1:]


def scale_label(impact: Impact) -> str:
    """Return the label of an impact's numbers: damage, the change of a metric, or the metric itself."""
    if impact.scale == "damage":
        return "Damage"
    if impact.scale == "difference":
        return f"Change of {metric_in_sentence(impact.metric, impact.label)}"
    return metric_label(impact.metric, impact.label)


def evidence_label(evidence: str) -> str:
    """Return the label of what a prompt switch is judged by."""
    name = evidence_name(evidence)
    return name[:1].upper() + name[1:]
