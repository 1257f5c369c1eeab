"""Runs checks between two real servers, joined as a variant says.

    scenario.py --bridge .build/debug/skywave                          all checks of all variants
    scenario.py --variant prosody-prosody-dialback --check messages    one of them
    scenario.py --variant … --serve                                    for the test suite: one check name per line on
                                                                       standard input, one JSON object per answer
"""

import argparse
import asyncio
import json
import logging
import shutil
import sys
import time
import traceback
from pathlib import Path

import lab.profile_checks  # noqa: F401 – they are known when it is read
import lab.radio_checks  # noqa: F401
from lab.checks import CHECKS
from lab.client import CheckFailed
from lab.federation import Federation
from lab.processes import run_until_signalled
from lab.variants import VARIANTS

ROOT = Path(__file__).resolve().parents[2]


async def run_check(federation: Federation, name: str) -> dict:
    """One check's outcome: `passed`, `seconds`, and `detail` (a remark, or the whole failure)."""
    started = time.monotonic()
    try:
        remark = await asyncio.wait_for(CHECKS[name].run(federation), CHECKS[name].limit)
        outcome = {"passed": True, "detail": remark or ""}
    except CheckFailed as failure:
        outcome = {"passed": False, "detail": f"{failure}\n{federation.logs()}"}
    except asyncio.TimeoutError:
        outcome = {"passed": False, "detail": f"not finished after {CHECKS[name].limit:.0f} s\n{federation.logs()}"}
    except Exception:
        outcome = {"passed": False, "detail": f"{traceback.format_exc()}\n{federation.logs()}"}
    if not outcome["passed"]:
        try:
            await federation.restore()
        except Exception:
            outcome["detail"] += f"\nwhat follows may fail, since this is not mended:\n{traceback.format_exc()}"
    return {"check": name, "seconds": round(time.monotonic() - started, 2), **outcome}


def make_federation(options, name: str) -> Federation:
    bridge = Path(options.bridge).resolve() if options.bridge else None
    return Federation(VARIANTS[name], ROOT / ".lab" / "runs" / name, bridge, options.verbose, captures=True)


async def serve(options) -> int:
    """Starts the federation, answers each check name with a line of JSON, and ends with the input."""
    reader = asyncio.StreamReader(limit=1 << 16)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    federation = make_federation(options, options.variant[0])

    def answer(outcome: dict):
        print(json.dumps(outcome), flush=True)

    try:
        await federation.start()
        answer({"ready": True})
    except Exception:
        answer({"ready": False, "detail": f"{traceback.format_exc()}\n{federation.logs()}"})
        return 1
    passed = True
    try:
        while line := (await reader.readline()).decode().strip():
            outcome = await run_check(federation, line)
            passed = passed and outcome["passed"]
            answer(outcome)
    finally:
        await federation.stop()
    if passed:
        shutil.rmtree(federation.directory, ignore_errors=True)
    return 0


async def run_all(options) -> int:
    failures = total = 0
    for name in options.variant or VARIANTS:
        federation = make_federation(options, name)
        started = time.monotonic()
        failed_here = 0
        try:
            await federation.start()
        except Exception:
            print(f"✘ {name} did not start\n{traceback.format_exc()}", flush=True)
            failures += 1
            continue
        try:
            print(f"{name}: ready after {time.monotonic() - started:.1f} s", flush=True)
            for check in options.check or [n for n, c in CHECKS.items() if c.applies(federation)]:
                outcome = await run_check(federation, check)
                total += 1
                failed_here += not outcome["passed"]
                mark = "✔" if outcome["passed"] else "✘"
                print(f"{mark} {name} {check} ({outcome['seconds']} s) {outcome['detail']}", flush=True)
        finally:
            await federation.stop()
        failures += failed_here
        if not failed_here and not options.keep_files:
            shutil.rmtree(federation.directory, ignore_errors=True)
    print(f"{total - failures} passed, {failures} failed")
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bridge", help="the skywave executable")
    parser.add_argument("--variant", action="append", choices=list(VARIANTS))
    parser.add_argument("--check", action="append", choices=list(CHECKS))
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--keep-files", action="store_true", help="keep configurations and logs under .lab/runs")
    parser.add_argument("--verbose", action="store_true", help="servers and bridges log at their finest level")
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    return run_until_signalled(lambda: serve(options) if options.serve else run_all(options))


if __name__ == "__main__":
    sys.exit(main())
