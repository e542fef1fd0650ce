"""Draws two waterfalls below each other: `python waterfall_picture.py DIRECTORY`, JSON as input.

Runs in an environment of its own, with matplotlib, and knows nothing of ours. Writes waterfall.svg
and waterfall.png.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "waterfall"  # the same figures give the same file

from matplotlib import pyplot as plt  # noqa: E402

TITLES = {"before": "A chain of calls, one after the other", "ours": "MangaAssist"}
COLOURS = {"search": "#3557a8", "model": "#7b93cf"}
OTHER = "#b3202c"


def main(directory: Path) -> None:
    """Draw what comes in."""
    flows: dict[str, dict[str, float]] = json.load(sys.stdin)
    longest = max(sum(flow.values()) for flow in flows.values())
    figure, rows = plt.subplots(
        len(flows),
        1,
        figsize=(11, 8.5),
        sharex=True,
        height_ratios=[len(flow) for flow in flows.values()],
    )
    for axes, (name, flow) in zip(rows, flows.items(), strict=True):
        begin = 0.0
        for place, (segment, took) in enumerate(flow.items()):
            colour = COLOURS.get(segment, OTHER)
            axes.barh(place, max(took, longest / 400), left=begin, color=colour, height=0.7)
            begin += took
            axes.text(begin + longest / 150, place, f"{took:.1f} ms", va="center", fontsize=9)
        waited = sum(flow.get(segment, 0.0) for segment in COLOURS)
        axes.set_yticks(range(len(flow)), list(flow))
        axes.invert_yaxis()
        axes.set_xlim(0, longest * 1.1)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(
            f"{TITLES[name]}: {begin:.0f} ms, of these {begin - waited:.1f} ms are neither search "
            "nor model",
            loc="left",
        )
    rows[-1].set_xlabel("milliseconds since the question came")
    figure.tight_layout()
    figure.savefig(directory / "waterfall.svg", metadata={"Date": None})
    figure.savefig(directory / "waterfall.png", dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
