"""The bench: all contestants on the calibration prompts, the best of each group on the held-out ones, timed in turn."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from compute.config.bench_schema import BenchConfig, BenchRun
from compute.models.judges import judge_for
from compute.models.loading import load_model
from compute.models.model import Model
from compute.policy.bench_report import BenchEntry, BenchFinalist, BenchReport, BenchTiming
from compute.policy.skip_policy import SkipPolicy
from compute.policy.track import adds_noise
from compute.progress import bar
from compute.provenance import provenance
from compute.recommend.bench.conditions import bench_conditions, described
from compute.recommend.bench.contestants import Contestant, contestants_of, plain, policy_name
from compute.recommend.bench.engine import Engine
from compute.recommend.bench.folder import OUTCOMES, REPORT, held, keep_timing, kept_timing
from compute.recommend.bench.measured_set import MeasuredSet
from compute.recommend.bench.results import ResultFolder
from compute.recommend.bench.selection import Choice, check_budgets, choices
from compute.recommend.bench.turns import seconds_in_turn
from compute.recommend.run_policy import policy_of_run
from compute.recommend.timing import device_name
from store.records import Condition, content_key

_FIXED = (
    *("guidance", "dtype", "batch", "budgets", "speedups", "metric"),
    *("baseline", "references", "ours", "renderings", "directions"),
)
"""Fields that no run of the same folder may change; contestants may be added, and seconds are the machine's."""


class Bench:
    """A bench: made, it has read and checked everything; `run` runs what its folder does not hold yet."""

    def __init__(self, config: BenchConfig, *, folder: Path, out: Path, device: str | None = None) -> None:
        """Load the model, and check all that can be checked before anything is run.

        Files of prompts and policies lie in `folder`. Raises SkipscopeError, with a line that names the field.
        """
        self.config, self.out = config, out
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Model = load_model(config.model, device=device, dtype=getattr(torch, config.dtype))
        judge = judge_for(self.model.source)
        self.contestants = contestants_of(config, self.model, folder)
        policies = [contestant.policy for contestant in self.contestants]
        self.calibration, self.held_out = bench_conditions(config, self.model, judge, folder, policies)
        self.engine = self._engine(self.model)
        self.baseline = self._policy("baseline", config.baseline)
        self.references = {name: self._policy(name, run) for name, run in config.references.items()}
        self.evaluations = {c.label: self.engine.evaluations(c.policy) for c in self.contestants}
        check_budgets(config, self.evaluations)

    def run(self) -> BenchReport:
        """Run all stages and write the report. What was run before, here or in an interrupted run, is not run again.

        Raises BenchError for a folder of something else or of another bench, ConfigError for seconds that no contestant
        keeps.
        """
        with held(self.out, self._plan()):
            calibration = self._run_set("calibration", self.calibration, self.contestants)
            entries = {c.label: self._entry(c, calibration) for c in self.contestants}
            chosen = choices(self.config, list(entries.values()), self._full)
            by_label = {contestant.label: contestant for contestant in self.contestants}
            labels = dict.fromkeys(finalist.label for choice in chosen for finalist in choice.finalists)
            finalists = [by_label[label] for label in labels]
            held_out = self._run_set("held out", self.held_out, finalists)
            seconds = self._seconds(finalists)
            report = BenchReport(
                model=self.model.source.name,
                weights=self.model.source.digest,
                guidance=self.config.guidance,
                dtype=self.config.dtype,
                metric=self.config.metric,
                calibration=described(self.config.calibration, self.calibration),
                held_out=described(self.config.held_out, self.held_out),
                ours=self.config.ours,
                entries=tuple(
                    entry.model_copy(
                        update={"held_out": held_out.quality(by_label[label]), "seconds": seconds[label]}
                        if label in labels
                        else {}
                    )
                    for label, entry in entries.items()
                ),
                finalists=tuple(
                    _compared(finalist, choice, held_out, by_label)
                    for choice in chosen
                    for finalist in choice.finalists
                ),
                lines=held_out.lines(self._rounded()),
                timing=self._timing,
                provenance=provenance(),
            )
            report.save(self.out / REPORT)
        return report

    def _run_set(self, title: str, conditions: Sequence[Condition], contestants: Sequence[Contestant]) -> MeasuredSet:
        config = self.config
        measured = MeasuredSet(
            engine=self.engine,
            conditions=conditions,
            contestants=contestants,
            baseline=self.baseline,
            references=self.references,
            metric=config.metric,
            renderings=config.renderings,
            directions=config.directions,
        )
        with bar(title, measured.left, unit="evaluation") as progress:
            measured.run(progress)
        return measured

    def _entry(self, contestant: Contestant, calibration: MeasuredSet) -> BenchEntry:
        policy = contestant.policy
        return BenchEntry(
            label=contestant.label,
            group=contestant.group,
            track="SDE" if adds_noise(policy.sampler, policy.call) else "ODE",
            sampler=policy.sampler.name,
            steps=policy.sampler.steps,
            evaluations=self.evaluations[contestant.label],
            policy=policy.digest,
            full=self._full_label(policy) if policy.rules else None,
            calibration=calibration.quality(contestant),
        )

    @property
    def _full(self) -> dict[str, float]:
        """The evaluations of the full runs of contestants with rules, by label."""
        policies = [contestant.policy for contestant in self.contestants if contestant.policy.rules]
        return {self._full_label(policy): self.engine.evaluations(plain(policy)) for policy in policies}

    def _full_label(self, policy: SkipPolicy) -> str:
        """Return the label of full compute by a policy's sampler: a contestant's, if it competes."""
        full = plain(policy)
        same = (c.label for c in self.contestants if c.policy.digest == full.digest)
        return next(same, f"{full.sampler.name} {full.sampler.steps}")

    def _seconds(self, finalists: Sequence[Contestant]) -> Mapping[str, float]:
        policies = {contestant.label: contestant.policy for contestant in finalists}
        digests = {label: policy.digest for label, policy in policies.items()}
        key = content_key([digests, self._timing.model_dump(), self.config.dtype])
        seconds = kept_timing(self.out, key)
        if seconds is None:
            rounds, batch = self.config.timing.rounds, self.held_out[: self.config.timing.batch]
            with bar("timing in turn", rounds + 1, unit="round") as progress:
                seconds = seconds_in_turn(self.engine, policies, batch, rounds=rounds, bar=progress)
            keep_timing(self.out, key, seconds)
        return seconds

    @property
    def _timing(self) -> BenchTiming:
        return BenchTiming(
            device=device_name(self.model.device),
            threads=torch.get_num_threads(),
            batch=min(self.config.timing.batch, len(self.held_out)),
            rounds=self.config.timing.rounds,
        )

    def _rounded(self) -> Engine | None:
        """Return an engine of the same model in bfloat16; None where the bench itself is not in float32."""
        if self.config.dtype != "float32":
            return None
        return self._engine(load_model(self.model.source, device=self.model.device, dtype=torch.bfloat16))

    def _engine(self, model: Model) -> Engine:
        results = ResultFolder(self.out / OUTCOMES, lambda line: print(line, file=sys.stderr))
        return Engine(model, results, batch=self.config.batch, judge=judge_for(model.source))

    def _policy(self, name: str, run: BenchRun) -> SkipPolicy:
        return policy_of_run(self.model, run.sampler, self.config.guidance, name=policy_name(name))

    def _plan(self) -> dict[str, Any]:
        document = self.config.model_dump(mode="json")
        return {
            "weights": self.model.source.digest,
            "calibration": described(self.config.calibration, self.calibration).digest,
            "held_out": described(self.config.held_out, self.held_out).digest,
            **{field: document[field] for field in _FIXED},
        }


def _compared(
    finalist: BenchFinalist, choice: Choice, held_out: MeasuredSet, contestants: Mapping[str, Contestant]
) -> BenchFinalist:
    """Return a finalist with its comparison; the rival itself has none."""
    if choice.rival in (None, finalist.label):
        return finalist
    own, rival = contestants[finalist.label], contestants[choice.rival]
    return finalist.model_copy(update={"comparison": held_out.compared(own, rival, finalist.criterion)})
