"""python -m tests.benchmarks [NAME ...] [--quick] [--device DEVICE] [--out FILE] [--render]

Runs the benchmarks (all of them, or those named), keeps their numbers in a JSON file, and writes the book's
page from it. A benchmark takes the place of its own last run on the same kind of device; the others stay.
A --quick one never takes the place of a real one.
"""

import argparse
import json
from pathlib import Path

from styletx import pick_device

from . import coarse_to_fine, import_time, losses, many_styles, memory, networks, one_shot, smoothing, step
from .measure import ROOT, conditions
from .render import PAGE, render

BENCHMARKS = {
    "step": step.run,
    "coarse_to_fine": coarse_to_fine.run,
    "memory": memory.run,
    "losses": losses.run,
    "one_shot": one_shot.run,
    "networks": networks.run,
    "many_styles": many_styles.run,
    "smoothing": smoothing.run,
    "import_time": import_time.run,
}
OUT = ROOT / "book" / "_static" / "benchmarks.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.split("\n\n")[1])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--device", help="auto, cpu, cuda, mps (default: auto)")
    parser.add_argument("--out", type=Path, default=OUT, help="the JSON file (default: the book's)")
    parser.add_argument("--render", action="store_true", help="only write the book's page from the JSON file")
    given = parser.parse_args()
    unknown = set(given.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    if not given.render:
        measure(given.names or list(BENCHMARKS), given.device, given.quick, given.out)
    if given.render or given.out == OUT:
        PAGE.write_text(render(json.loads(given.out.read_text(encoding="utf-8"))), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")


def measure(names: list[str], device: str | None, quick: bool, out: Path) -> None:
    """Run the benchmarks one after the other; each one's numbers are written as soon as they are there."""
    device = pick_device(device)
    for name in names:
        found = conditions(device, quick)
        print(f"{name} on {found['device']} ...", flush=True)
        found["result"] = BENCHMARKS[name](device, quick)
        kept = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
        key = f"{name}/{device.type}"
        if quick and key in kept and not kept[key]["quick"]:
            print(f"{key}: the file holds real numbers; the quick ones are thrown away")
            continue
        kept[key] = found
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
