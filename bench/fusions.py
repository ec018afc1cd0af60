#!/usr/bin/env python3
"""What each fusion is worth: decode of an artifact's model with all rules, with none, and without each rule that fires,
in paired runs, beside what hipc explain predicts.

    bench/fusions.py MODEL.yaml CHECKPOINT [ROUNDS] [RULE ...]

Runs alternate with the default plan's, so that a slow spell of the machine hits both. A rule's effect is the median of
the paired ratios; where the middle half of the ratios spans 1, it's noise and no sign is claimed. Prints a table and
writes bench/results/DATE-fusions-MODEL.json.
"""
import concurrent.futures, datetime, json, os, pathlib, re, statistics, subprocess, sys, tempfile

here = pathlib.Path(__file__).resolve().parent
hipc, hiprun = here.parent / "bin/hipc", here.parent / "bin/hiprun"


def sh(*args):
    p = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if p.returncode:
        sys.exit(f"{' '.join(map(str, args))}: {p.stderr.strip()}")
    return p.stdout


def predicted(model, weights, fuse):
    e = json.loads(sh(hipc, "explain", model, "--weights", weights, f"--fuse={fuse}", "--json"))
    b = next(b for b in e["buckets"] if b["name"] == "decode_1")
    fired = sorted({f["Rule"] for g in b["report"]["Graphs"] or [] for f in g["Fired"] or []})
    return b["seconds"], e["launches_per_token"], fired


def measure(folder):
    out = json.loads(sh(hiprun, "bench", folder, "-p", 0, "-n", 256, "-r", 1, "--json"))
    return out["results"][0]["median"]


def main():
    model, weights = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 9
    seconds, launches, fired = predicted(model, weights, "on")
    plans = ["off"] + ["-" + r for r in (sys.argv[4:] or fired)]
    with tempfile.TemporaryDirectory() as tmp:
        folders = {fuse: f"{tmp}/{fuse.strip('-')}" for fuse in ["on"] + plans}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda fuse: sh(hipc, "compile", model, "--weights", weights, f"--fuse={fuse}", "-o", folders[fuse]), folders))
        rows = []
        for fuse in plans:
            other, count, _ = predicted(model, weights, fuse)
            measure(folders["on"]), measure(folders[fuse])
            ratios = []
            for _ in range(rounds):
                a, b = measure(folders["on"]), measure(folders[fuse])
                ratios.append(a / b)
            low, middle, high = (sorted(ratios)[len(ratios) // 4], statistics.median(ratios), sorted(ratios)[-1 - len(ratios) // 4])
            sign = "noise" if low <= 1 <= high else "right" if (middle > 1) == (other > seconds) else "WRONG"
            rows.append(dict(without=fuse, launches=count, predicted=other / seconds, low=low, median=middle, high=high, ratios=ratios, sign=sign))
            print(f"{fuse:28} {count:5} launches  predicted {other / seconds:6.3f}x  measured {low:6.3f} {middle:6.3f} {high:6.3f}x  {sign}", flush=True)
    record = dict(what="decode with all rules against without: time without / time with", model=model, launches=launches, rounds=rounds, rows=rows,
                  commit=sh("git", "-C", here, "rev-parse", "--short=12", "HEAD").strip(), hardware=re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())[1],
                  cores=os.cpu_count(), load=os.getloadavg(), command=" ".join(sys.argv))
    name = f"{datetime.date.today()}-fusions-{pathlib.Path(model).stem}.json"
    (here / "results").mkdir(exist_ok=True)
    (here / "results" / name).write_text(json.dumps(record, indent=1) + "\n")


main()
