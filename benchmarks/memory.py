"""Memory of an engine over time, at a thousand frames a second.

    python benchmarks/memory.py [--minutes 20] [--intensity 10]

Runs a headless engine on practice venues and samples its resident memory every ten seconds; the
slope is fitted over all but the first two minutes, in which caches and rings fill.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PAGE_MB = 4096 / 1e6
SETTLED_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--intensity", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.toml"
        config.write_text(f"[practice]\nintensity = {options.intensity}\n")
        command = [sys.executable, "-m", "hftmm", "--headless", "--config", str(config)]
        command += ["--duration", str(options.minutes * 60), "--socket", f"{folder}/engine.sock"]
        status = Path(folder) / "status"
        with status.open("wb") as out:
            engine = subprocess.Popen(command, stdout=out)  # noqa: S603 - our own command
            begun = time.monotonic()
            samples = []
            while engine.poll() is None:
                time.sleep(10)
                statm = Path(f"/proc/{engine.pid}/statm")
                if statm.exists() and (pages := statm.read_text().split()):
                    samples.append((time.monotonic() - begun, int(pages[1]) * PAGE_MB))
        rates = [
            sum(venue["frames_per_s"] for venue in json.loads(line)["venues"].values())
            for line in status.read_text().splitlines()
        ]
    settled = np.array([sample for sample in samples if sample[0] > SETTLED_S])
    if len(settled) < 3:
        raise SystemExit("too short to fit a slope: more than three minutes are needed")
    slope, _ = np.polyfit(settled[:, 0] / 60.0, settled[:, 1], 1)
    print(f"{options.minutes:g} minutes at {np.median(rates):.0f} frames/s (median)")
    print(f"resident: {settled[0, 1]:.1f} MB after two minutes, {settled[-1, 1]:.1f} MB at the end")
    print(f"slope: {slope * 1000:+.1f} kB a minute")


if __name__ == "__main__":
    main()
