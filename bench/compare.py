"""compare.py: measures hiprun and llama-bench in turn, and writes the record. llama_cpp.sh calls it.

The gate comes first: the same build must predict prose.txt as it should, otherwise there is no figure. Then each round runs
every program once, each time with a warm-up of its own, so that a slow spell of the machine meets all of them. Whether a run
counts is decided by what else ran, never by its result: the processor time that this machine gave to others (stolen
time included) must stay below BUSY of a core. A run that was disturbed is recorded, and done again. Threads that wait for
each other suffer from a third one many times over: on two cores, llama.cpp's decode fell from 120 to 4 tok/s beside a compiler.
"""
import argparse, hashlib, json, os, platform, resource, statistics, subprocess, sys, time

BUSY = 0.05  # cores that others may use during a run
LEAST = 3  # undisturbed runs that a figure needs
NLL, WITHIN = 2.61, 0.01  # of tests/testdata/smollm2/prose.txt: transformers in fp32, on the same GGUF
PROSE = "tests/testdata/smollm2/prose.txt"
MODEL = "models/smollm2-135m-instruct.yaml"
BARS = {"tg128": 0.8, "pp512": 0.4}  # hipc's median to that of llama.cpp as it comes
STARTS = 10

p = argparse.ArgumentParser()
for name in "hipc hiprun artifact gguf llama llama-version commit threads out".split():
    p.add_argument("--" + name, required=True)
p.add_argument("--rounds", type=int, required=True)
p.add_argument("--patience", type=float, required=True)
a = p.parse_args()
lost = 0.0  # seconds spent on waiting and on disturbed runs


def busy():
    """Processor seconds that this machine has spent so far, and those of our children."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, soft, steal = map(int, f.readline().split()[1:9])
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK"), own.ru_utime + own.ru_stime


def run(command, env=None):
    """Runs a command; returns its output, the seconds it took, and the cores that others used meanwhile."""
    all0, own0, start = *busy(), time.monotonic()
    r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    wall = time.monotonic() - start
    all1, own1 = busy()
    grain = 2 / os.sysconf("SC_CLK_TCK")  # of /proc/stat, which counts ticks
    if r.returncode != 0:
        sys.exit(f"compare.py: {' '.join(command)}: exit code {r.returncode}\n{r.stderr[-2000:]}")
    return r.stdout, wall, max(0.0, (all1 - all0) - (own1 - own0) - grain) / wall


def wait_for_quiet():
    """Waits until others have used less than BUSY cores for a second, or patience is at its end."""
    global lost
    while True:
        start = busy()[0]
        time.sleep(1)
        if busy()[0] - start < BUSY:
            return True
        lost += 1
        if lost > a.patience:
            return False


def undisturbed(command, log, read, env=None):
    """Runs a command until nothing disturbs it; returns what read makes of its output and time, or None."""
    global lost
    while wait_for_quiet():
        out, wall, others = run(command, env)
        result = read(out, wall)
        log.append({"others_cores": round(others, 3), "counts": others < BUSY, **result})
        if others < BUSY:
            return result
        lost += wall
    return None


def hipc_rates(out, _):
    return {t["test"]: t["runs"][0] for t in json.loads(out)["results"]}


def llama_rates(out, _):
    return {(f"pp{t['n_prompt']}" if t["n_prompt"] else f"tg{t['n_gen']}"): t["samples_ts"][0] for t in json.loads(out)}


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values), "runs": len(values)}


def shell(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.strip()


threads = [int(t) for t in a.threads.split()]
load = [os.getloadavg()]

gate_command = [a.hiprun, "eval", a.artifact, "--text", PROSE, "--json"]
nll = json.loads(run(gate_command)[0])["mean_nll"]
print(f"gate: mean NLL {nll:.4f}, want {NLL} ± {WITHIN}")
if abs(nll - NLL) > WITHIN:
    sys.exit("compare.py: the gate is shut: a model that computes something else has no speed")

llama = [a.llama, "-m", a.gguf, "-p", "512", "-n", "128", "-r", "1", "-o", "json", "-t"]
tools = {  # each as it comes: hipc keeps K and V in f32, llama.cpp in f16 (its bench takes no f32)
    "hipc": (lambda t: [a.hiprun, "bench", a.artifact, "-p", "512", "-n", "128", "-r", "1", "--json", "--threads", str(t)], hipc_rates),
    "llama.cpp": (lambda t: llama + [str(t)], llama_rates),
}
series = {(t, name): [] for t in threads for name in tools}
for r in range(a.rounds):
    for t in threads:
        for name, (command, read) in tools.items():
            ok = undisturbed(command(t), series[t, name], read)
            print(f"round {r + 1}, {t} threads, {name}: {'no quiet moment' if ok is None else ok}", file=sys.stderr, flush=True)

results, short = [], []
for (t, name), log in series.items():
    good = [x for x in log if x["counts"]]
    if len(good) < LEAST:
        short.append(f"{name} on {t} threads ({len(good)})")
        continue
    for test in BARS:
        results.append({"tool": name, "threads": t, "test": test, **spread([x[test] for x in good])})
for x in results:
    if x["tool"] != "hipc":
        x["hipc_is"] = next((y["median"] / x["median"] for y in results if (y["tool"], y["threads"], y["test"]) == ("hipc", x["threads"], x["test"])), None)

# Nothing but the plan and the source: no compiler is found, and no weights are asked for.
plan_command = [a.hipc, "compile", MODEL, "-o", a.artifact + ".plan"]
first_command = [a.hiprun, a.artifact, "--raw", "-n", "1", "-p", "The capital of France is"]
starts = {}
for name, command, env, bar in [("compile, without compiler and weights", plan_command, {**os.environ, "PATH": "/nowhere", "CXX": ""}, 0.3),
                                ("process start to first token and exit, warm cache", first_command, None, 0.5)]:
    log = []
    for _ in range(STARTS):
        undisturbed(command, log, lambda out, wall: {"seconds": wall}, env)
    good = [x["seconds"] for x in log if x["counts"]]
    if len(good) < LEAST:
        short.append(name)
        continue
    starts[name] = {**spread(good), "bar": bar, "command": ("PATH=/nowhere " if env else "") + " ".join(command), "log": log}
load.append(os.getloadavg())

print(f"\n{'tok/s':22}{'threads':>8}{'test':>8}{'min':>9}{'median':>9}{'max':>9}{'runs':>6}   hipc is   bar")
for x in results:
    ratio = f"{x['hipc_is']:9.2f}×" if x.get("hipc_is") else ""
    bar = f"{BARS[x['test']]:5.1f}×" if x["tool"] == "llama.cpp" else ""
    print(f"{x['tool']:22}{x['threads']:8}{x['test']:>8}{x['min']:9.1f}{x['median']:9.1f}{x['max']:9.1f}{x['runs']:6}{ratio}{bar}")
for name, x in starts.items():
    print(f"{name}: {x['min']:.3f} / {x['median']:.3f} / {x['max']:.3f} s (min / median / max of {x['runs']}; bar {x['bar']} s)")
runs = [x for log in series.values() for x in log]
print(f"{sum(not x['counts'] for x in runs)} of {len(runs)} runs were disturbed and don't count; load average {load[0][0]:.1f} before, {load[1][0]:.1f} after")
if short:
    sys.exit("compare.py: no record, for want of quiet moments: " + "; ".join(short) + f" (a figure needs {LEAST} undisturbed runs)")

cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.processor())
with open(a.gguf, "rb") as f, open(a.llama, "rb") as g:
    digests = {"gguf": hashlib.file_digest(f, "sha256").hexdigest(), "llama-bench": hashlib.file_digest(g, "sha256").hexdigest()}
record = {
    "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    "model": "SmolLM2-135M-Instruct", "format": "Q4_1 GGUF (embedding and head Q8_0)",
    "shape": "batch 1, empty context; pp512: a prompt of 512 tokens; tg128: 128 tokens one by one; tokens a second",
    "hardware": {"cpu": cpu, "cores": os.cpu_count(), "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "kernel": platform.release()},
    "commit": a.commit,
    "versions": {"llama.cpp": a.llama_version, "llama-bench": shell(a.llama, "--version"), "c++": shell("c++", "--version").split("\n")[0], "go": shell("go", "version")},
    "sha256": digests,
    "gate": {"command": " ".join(gate_command), "mean_nll": nll, "want": NLL, "within": WITHIN},
    "load_average": {"before": load[0], "after": load[1]}, "others_cores_below": BUSY,
    "results": results, "starts": starts,
    "runs": [{"tool": name, "threads": t, "command": " ".join(tools[name][0](t)), "log": log} for (t, name), log in series.items()],
}
os.makedirs(os.path.dirname(a.out), exist_ok=True)
home = os.getcwd() + "/"
with open(a.out, "w") as f:
    f.write(json.dumps(record, indent=1, ensure_ascii=False).replace(home, "") + "\n")
print(a.out)
