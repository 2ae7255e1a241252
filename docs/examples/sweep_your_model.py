"""A sweep of your own model in this process, its phases, and the policy that it recommends.

Usage: python docs/examples/sweep_your_model.py FOLDER STORE
"""

import argparse

from skipscope import SweepConfig, SweepReader, phases_of, recommend, sweep

parser = argparse.ArgumentParser()
parser.add_argument("folder", help="of a pipeline that reads prompts")
parser.add_argument("store", help="folder of the sweep; an interrupted one is resumed")
parser.add_argument("--prompts", nargs="+", default=["a cat on a blue sofa", "two red kites over the sea"])
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--size", type=int, default=512)
parser.add_argument("--threads", type=int, help="CPU threads; all cores unless given")
parser.add_argument("--min-speedup", type=float, default=1.3)
parser.add_argument("--policy", default="policy.json", help="the file to write")
args = parser.parse_args()

config = SweepConfig(
    model=args.folder,
    sampler={"name": "DPMSolverMultistepScheduler", "num_inference_steps": args.steps},
    guidance=7.5,
    call={"height": args.size, "width": args.size},
    prompts=args.prompts,
    actions=["bypass", "zero"],
    screen=[{"name": "reuse", "order": 1, "space": "x0", "components": ["unet"], "lengths": [1, 2]}],
    prompt_switch={"every": 2},
    metrics=["mse"],
    threads_per_worker=args.threads,
)
result = sweep(config, args.store, address="serial")
print(f"{result.executed} units executed, {result.resumed} were there, {result.failed} failed")

boundary = phases_of(SweepReader(args.store)).boundary
if boundary is None:
    print("no prompt switch turned a picture: no boundary of the phases")
else:
    print(f"composition ends at step {boundary.shown('.1f')}")

policy = recommend(args.store, min_speedup=args.min_speedup)
policy.save(args.policy)
print(f"{args.policy}: {policy.name}, {len(policy.rules)} rules; run `skipscope validate` on it with other prompts")
