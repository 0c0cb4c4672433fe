"""This project's quantization beside its peers, in one run: ``python -m benchmarks.peers NAME...``.

For each detector and seed, all peers get the same ONNX file in full precision and the same calibration frames, each in
a process of its own; what they write is run by the engines it is for, decoded, and held against full precision on
frames that nothing was calibrated on. Prints Markdown; ``--out`` keeps each row as a line of JSON, and what is there
already is not measured again. Needs ``pip install 'selective-focus-studio[peers]'``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.allocation import stacked
from benchmarks.peers.base import PEERS, Settings
from benchmarks.peers.measure import measured, written
from benchmarks.peers.picture import save_bars
from benchmarks.peers.table import markdown
from benchmarks.rows import Row, Rows
from sfcore.detectors.registry import create


def rows_of(name: str, seed: int, peers: Sequence[str], args: argparse.Namespace) -> Iterator[Row]:
    """One detector and seed: a row for each peer."""
    if not peers:
        return
    detector = create(name, args.weights).requires_grad_(False)
    frames = stacked(detector, args.images, args.calibrated, seed)
    test = detector.preprocessing.normalize(stacked(detector, args.test, args.judged, 0))
    about = {"detector": args.called or name, "seed": seed, "calibrated": len(frames), "judged": len(test)}
    with tempfile.TemporaryDirectory(prefix="sfcore-peers-") as made:
        settings = Settings(args.bits, args.steps, args.rate, seed)
        problem = written(name, args.weights, frames, settings, Path(made))
        for peer in peers:
            place = Path(made, peer)
            place.mkdir()
            yield {**about, "peer": peer, **measured(peer, problem, detector, test, place)}


def main() -> None:
    """Measure what is not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--weights", help="a checkpoint, of all that are named")
    parser.add_argument("--called", help="what to call a detector with weights of its own")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS.names(), metavar="PEER")
    parser.add_argument("--images", nargs="+", default=["scenes:64,seed=1"], help="that ranges are found on")
    parser.add_argument("--test", nargs="+", default=["scenes:64,seed=99"], help="that all are judged on")
    parser.add_argument("--calibrated", type=int, default=32, help="frames drawn of --images by the seed")
    parser.add_argument("--judged", type=int, default=48, help="frames of --test")
    parser.add_argument("--bits", default=Settings.scheme, help="scheme of this project's own entries")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="of tuning")
    parser.add_argument("--rate", type=float, default=Settings.rate, help="of tuning")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, help="keeps the rows, so that it can go on")
    parser.add_argument("--picture", type=Path, help="draws all detectors that the rows are of, as PNG")
    args = parser.parse_args()
    rows = Rows(args.out)
    for name in args.names:
        called = args.called or name
        for seed in args.seeds:
            known = {row["peer"] for row in rows if (row["detector"], row["seed"]) == (called, seed)}
            for row in rows_of(name, seed, [peer for peer in args.peers if peer not in known], args):
                rows.add(row)
        print(markdown(rows, called), end="\n\n", flush=True)
    if args.picture:
        save_bars(args.picture, rows, list(dict.fromkeys(row["detector"] for row in rows)))


if __name__ == "__main__":
    main()
