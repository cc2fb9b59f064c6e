"""10,000 detections through the helper beside plain Python doing the same."""

import pathlib
import statistics
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parents[2] / "examples/python")]

from simulator import COMPONENT, Simulator
from watchbell import Source

PAIRS = 11


def main():
    source = Source(str(COMPONENT))
    with Simulator("--start", "2026-01-01T00:00:00Z", "--total", "10000") as simulator:
        token = simulator.token()
        endpoint = simulator.settings["endpoint"]

        def ours():
            return source.poll(endpoint=endpoint, access_token=token, since="2026-01-01T00:00:00Z")

        def plain():
            return simulator.detections(token, sinceTimeUtc="2026-01-01T00:00:00Z")

        assert ours() == plain()
        ratios, times = [], []
        for _ in range(PAIRS):
            pair = []
            for work in (ours, plain):
                began = time.perf_counter()
                assert len(work()) > 9000
                pair.append(time.perf_counter() - began)
            times.append(pair)
            ratios.append(pair[0] / pair[1])
    ours, plain = (statistics.median(column) * 1000 for column in zip(*times))
    print(
        f"python: 10,000 detections, {PAIRS} pairs: helper {ours:.0f} ms, plain {plain:.0f} ms,"
        f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}), wanted <= 1.5"
    )


if __name__ == "__main__":
    main()
