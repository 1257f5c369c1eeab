"""Builds the tests, runs them in phases and counts what happened; then a few rounds of the soak.

The unit tests run first and alone, because some of them measure time and memory; then those that wait for sockets, then those with
real servers; last the soak, which counts as one test. The other counts come from Swift Testing's event stream, not from
its printed text. A test that was started and never ended, or never got its turn because the process died, counts as
failed.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".lab" / "logs"
UNIT_LIMIT = 20 * 60
INTEGRATION_LIMIT = 22 * 60
SIMULATION_LIMIT = 10 * 60
SIMULATION_SEEDS = 2000
BUILD_LIMIT = 25 * 60
SOAK_LIMIT = 8 * 60
SOAK_ROUNDS = 10
SOAK_SEED = 9  # over the radio it begins with a kill of the nodes and a kill of a bridge


@dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # on what was skipped, with the reason


def count(events: Path, status: int) -> Counts:
    """Reads one event stream; `status` is the exit status of the process that wrote it."""
    functions: dict[str, str] = {}
    failed: set[str] = set()
    ended: set[str] = set()
    skipped: dict[str, str] = {}  # with what is said of it
    finished = False
    if events.exists():
        for line in events.read_text(errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the process died while it wrote this line
                continue
            payload = record.get("payload", {})
            if record.get("kind") == "test":
                if payload.get("kind") == "function":
                    functions[payload["id"]] = payload.get("displayName") or payload["name"]
                continue
            kind, test = payload.get("kind"), payload.get("testID")
            symbols = {message.get("symbol") for message in payload.get("messages", [])}
            if kind == "runEnded":
                finished = True
            elif kind == "testSkipped":
                skipped[test] = " ".join(message.get("text", "") for message in payload.get("messages", []))
            elif kind == "testEnded":
                ended.add(test)
                if "fail" in symbols:
                    failed.add(test)
            elif kind == "issueRecorded" and not payload.get("issue", {}).get("isKnown", False):
                if test is None:
                    failed.add("outside any test")
    counts = Counts()
    for test, name in functions.items():
        # a skipped suite's functions have events of their own
        if test in failed:
            counts.failed += 1
            counts.problems.append(f"failed: {test}")
        elif test in ended:
            counts.passed += 1
        elif test in skipped:
            counts.skipped += 1
            counts.remarks.append(skipped[test] or f"skipped: {test}")
        else:
            counts.failed += 1
            counts.problems.append(f"did not end: {test}")
    if "outside any test" in failed:
        counts.failed += 1
        counts.problems.append("an issue was recorded outside any test")
    if not finished:
        counts.failed += 1
        counts.problems.append(f"the test process died before its run ended (exit status {status})")
    elif status != 0 and counts.failed == 0:
        counts.failed += 1
        counts.problems.append(f"every test passed, but the test process ended with status {status}")
    return counts


def stream(command: list[str], log: Path, limit: float, show, strict: bool = True) -> int:
    """Runs a command, keeps its whole output in `log` and prints the lines for which `show(line)` holds."""
    environment = os.environ | ({"SKYWAVE_STRICT": os.environ.get("SKYWAVE_STRICT", "1")} if strict else {})
    deadline = time.monotonic() + limit
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        with log.open(errors="replace") as written:
            pending = ""
            while True:
                status = process.poll()
                pending += written.read()
                *lines, pending = pending.split("\n")
                for line in lines:
                    if show(line):
                        print(line, flush=True)
                if status is not None:
                    return status
                if time.monotonic() > deadline:
                    print(f"no end after {limit:.0f} s: stopping {' '.join(command)}", flush=True)
                    os.killpg(process.pid, 15)
                    try:
                        process.wait(10)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, 9)
                        process.wait()
                    return 124
                time.sleep(0.2)


class FailureLines:
    """Selects the lines about failures, with the details that follow them; with `verbose`, passes too."""

    def __init__(self, verbose: bool):
        self.verbose = verbose
        self.inside = False

    def __call__(self, line: str) -> bool:
        mark = line[:1]
        if mark in "◇✔✘━↳➜" and mark:
            if mark == "↳":
                return self.inside
            self.inside = mark == "✘"
            return self.inside or (self.verbose and mark == "✔" and " Test " in line[:8])
        return self.inside


def run_phase(name: str, selection: list[str], limit: float, verbose: bool) -> Counts:
    events = LOGS / f"{name}.jsonl"
    events.unlink(missing_ok=True)
    log = LOGS / f"{name}.log"
    command = ["swift", "test", "--skip-build", "--disable-xctest", *selection,
               "--event-stream-output-path", str(events), "--event-stream-version", "0"]
    counts = count(events, stream(command, log, limit, FailureLines(verbose)))
    for remark in counts.remarks:
        print(f"  {remark}")
    if counts.failed:
        print(f"\n{name}: {counts.failed} failed; the whole output is in {log.relative_to(ROOT)}")
        for problem in counts.problems:
            print(f"  {problem}")
        if any("did not end" in problem or "died" in problem for problem in counts.problems):
            print(f"the last lines of {log.relative_to(ROOT)}:")
            print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
    return counts


def run_soak() -> Counts:
    """The short form of `make soak-real`: one test, which fails when a bridge lost, doubled or reordered anything."""
    log = LOGS / "soak.log"
    bridge = ROOT / ".build" / "debug" / "skywave"
    command = [sys.executable, str(ROOT / "Tests" / "Lab" / "soak_real.py"), "--bridge", str(bridge),
               "--rounds", str(SOAK_ROUNDS), "--seed", str(SOAK_SEED), "--limit", "100"]
    status = stream(command, log, SOAK_LIMIT, lambda line: line.startswith("soak-real:"))
    if status == 0:
        return Counts(passed=1)
    print(f"the soak failed; the whole output is in {log.relative_to(ROOT)}")
    print("\n".join(log.read_text(errors="replace").splitlines()[-20:]))
    return Counts(failed=1)


def run_simulation(seeds: int) -> Counts:
    """Whole sites through seeded faults in virtual time, with the release build: debug builds take ten times as long.

    As many seeds again have STANAG 5066 nodes between sites; one seed in ten is such.
    """
    build = ["swift", "build", "-c", "release", "--product", "skywave-sim"]
    # With the flags of `make build`, so that neither has to build what the other has built.
    if stream(build, LOGS / "simulation-build.log", BUILD_LIMIT, lambda line: "error:" in line,
              strict=False) != 0:
        return Counts(failed=1, problems=["skywave-sim does not build"])
    place = subprocess.run([*build[:4], "--show-bin-path"], cwd=ROOT, capture_output=True, text=True, check=False)
    tool = str(Path(place.stdout.strip()) / "skywave-sim")
    counts = Counts()
    for name, options in [("simulation", [str(seeds)]), ("simulation-radio", [str(10 * seeds + 400), "--radio"])]:
        status = stream([tool, "soak", "--seeds", *options], LOGS / f"{name}.log", SIMULATION_LIMIT, lambda line: True)
        counts.passed += status == 0
        counts.failed += status != 0
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setup-seconds", type=float, default=0)
    options = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    times = [("set-up", options.setup_seconds)]

    def timed(name, action):
        print(f"== {name}", flush=True)
        started = time.monotonic()
        result = action()
        times.append((name, time.monotonic() - started))
        return result

    total = Counts()
    log = LOGS / "build.log"
    status = timed("build", lambda: stream(
        ["swift", "build", "--build-tests"], log, BUILD_LIMIT, lambda line: "error:" in line))
    if status != 0:
        total.failed = 1
        print("the build failed:")
        print("\n".join(log.read_text(errors="replace").splitlines()[-40:]))
    else:
        # What waits for sockets has time limits, and would share two processors with hundreds of tests that only compute.
        sockets = "^(Bridge|Transports|TLS|TrafficTap|Admin|HFNodeServer)Tests\\."
        phases = [("unit tests", "unit", ["--skip", f"^IntegrationTests\\.|{sockets}"], UNIT_LIMIT, False),
                  ("sockets", "sockets", ["--filter", sockets], UNIT_LIMIT, False),
                  ("integration tests", "integration", ["--filter", "^IntegrationTests\\."], INTEGRATION_LIMIT, True)]
        for title, name, selection, limit, verbose in phases:
            counts = timed(title, lambda: run_phase(name, selection, limit, verbose))
            total.passed += counts.passed
            total.failed += counts.failed
            total.skipped += counts.skipped
        simulation = timed("simulation", lambda: run_simulation(SIMULATION_SEEDS))
        total.passed += simulation.passed
        total.failed += simulation.failed
        soak = timed("soak of real processes", lambda: run_soak())
        total.passed += soak.passed
        total.failed += soak.failed
    print()
    for name, seconds in times:
        print(f"{name:<18} {seconds:7.1f} s")
    if total.skipped:
        print(f"{total.skipped} skipped")
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
