"""What was measured: one `Figure` for each run of a tool in a scene, kept in the order of the measuring."""

import dataclasses
import json

from measure import median


@dataclasses.dataclass
class Figure:
    """One measured run. `None` means not measured or not told by the tool; never zero instead of unknown."""

    scene: str
    tool: str
    seconds: float | None = None
    peak_bytes: int | None = None
    # Bytes written to the remote by this run, and what the remote holds after it.
    written_bytes: int | None = None
    stored_bytes: int | None = None
    fetched_bytes: int | None = None
    # Requests by verb (put, get, list, head, delete).
    requests: dict | None = None
    # Milliseconds by phase, as the tool tells them.
    phases: dict | None = None
    database_bytes: int | None = None
    # Any other number, by name: average bytes of a record, round trips, ...
    other: dict = dataclasses.field(default_factory=dict)
    failed: str | None = None


class Results:
    def __init__(self):
        self.figures = []

    def add(self, figure):
        self.figures.append(figure)
        return figure

    def of(self, scene, tool=None):
        return [figure for figure in self.figures if figure.scene == scene and (tool is None or figure.tool == tool)]

    def tools(self, scene):
        return list(dict.fromkeys(figure.tool for figure in self.of(scene)))

    def scenes(self):
        return list(dict.fromkeys(figure.scene for figure in self.figures))

    def values(self, scene, tool, field):
        return [
            value
            for figure in self.of(scene, tool)
            if figure.failed is None and (value := getattr(figure, field)) is not None
        ]

    def median(self, scene, tool, field):
        return median(self.values(scene, tool, field))

    def peak(self, scene, tool):
        """The largest memory of any round: a bound is a bound for each of them."""
        return max(self.values(scene, tool, "peak_bytes"), default=None)

    def other(self, scene, tool, name):
        return median([figure.other[name] for figure in self.of(scene, tool) if figure.other.get(name) is not None])

    def last(self, scene, tool, field):
        values = self.values(scene, tool, field)
        return values[-1] if values else None

    def failures(self):
        return [figure for figure in self.figures if figure.failed]

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump([dataclasses.asdict(figure) for figure in self.figures], file, indent=1)
