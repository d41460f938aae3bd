"""The figures as Markdown: the judged table, every scene, where the time goes, and on what it was measured."""

import datetime
import os
import platform
import re

from measure import median
from targets import NOT_MEASURED, bytes_text, judge, judge_large, requests_text, seconds_text

TITLES = {
    "start": "making an empty store or first copy",
    "full": "first full copy",
    "restore-full": "restore of that full copy to a new file, synced",
    "increment": "increment: 1 % of the rows updated, 0.5 % appended",
    "unchanged-first": "nothing changed, first run after a change",
    "unchanged": "nothing changed",
    "touched": "touched (new modification time), same content",
    "ten-rows": "ten rows updated",
    "restore": "restore of the newest, after the increments, synced",
    "over-increment": "the increment before the restore below",
    "over": "restore over a copy one increment old",
    "vacuum": "after VACUUM",
    "s3-full": "S3: first full sync",
    "s3-restore": "S3: restore to a new file, synced",
    "s3-unchanged": "S3: nothing changed",
    "s3-ten-rows": "S3: ten rows updated",
    "s3-increment": "S3: increment",
    "s3-over": "S3: restore over a copy one increment old",
    "without-bases": "S3, keep = none: increment without bases",
    "query-restore": "query: a restore of the same snapshot, synced",
    "query-lookup": "query: one row by its key, nothing in the cache",
    "query-again": "query: the same again",
    "query-count": "query: count(*) of the largest table, in the order of an index, nothing in the cache",
    "query-scan": "query: count(*) of the largest table, in its own order, nothing in the cache",
    "sealed-full": "encryption: first full sync to an empty store",
    "sealed-restore": "encryption: its restore, synced",
    "sealed-ten-rows": "encryption: ten rows updated",
    "prune-dry": "prune of a thousand snapshots and a million chunks: the plan",
    "prune": "prune: what stays is gathered, the rest removed",
    "prune-again": "prune: nothing left to do",
    "prune-scrub": "prune: all that is left, read and hashed",
    "pruned": "prune: what is left of a thousand small snapshots, and a store that only saw what stays",
    "chain": "long history: a sync after each change of ten rows (time of one)",
    "chain-full": "long history: a fresh full of its last state",
    "chain-restore": "long history: restore of the newest, synced",
    "chain-open": "long history: opening a snapshot on S3",
    "large-full": "large database: first full sync",
    "large-unchanged": "large database: nothing changed",
    "large-touched": "large database: touched",
    "large-increment": "large database: increment",
    "large-over": "large database: restore over a copy one increment old",
    "large-restore": "large database: restore of the newest, synced",
}


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(
        lines + ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    )


def render(results, facts):
    parts = [
        facts_text(facts),
        "### To reach\n\n" + judged_table(results, facts),
        "### Every figure\n\nTimes are medians (least to most); memory is the most of any round.\n\n"
        + scene_tables(results),
    ]
    if phases := phase_table(results):
        parts.append("### Where the time goes\n\nThe last round of each, as pagekeep tells it.\n\n" + phases)
    if failures := results.failures():
        parts.append(
            "### Failed\n\n" + "\n".join(f"- {figure.scene}, {figure.tool}: {figure.failed}" for figure in failures)
        )
    return "\n\n".join(parts) + "\n"


def judged_table(results, facts):
    large_only = facts["large_only"]
    rows = [] if large_only else judge(results)
    if facts["some_scenes"]:
        rows = [row for row in rows if row.verdict not in (NOT_MEASURED, "shown")]
    if large_only or results.of("large-full"):
        rows += judge_large(results)
    return table(
        ("", "measured", "beside", "ratio", "to reach", ""),
        [(row.what, row.measured, row.compared_with, row.judged, row.to_reach, row.verdict) for row in rows],
    )


def scene_tables(results):
    return "\n\n".join(
        f"**{TITLES.get(scene, scene)}**\n\n" + scene_table(results, scene) for scene in results.scenes()
    )


def scene_table(results, scene):
    rows = []
    for tool in results.tools(scene):
        times = results.values(scene, tool, "seconds")
        failed = sum(1 for figure in results.of(scene, tool) if figure.failed)
        rows.append(
            (
                tool,
                spread(times) + (f" ({failed} failed)" if failed else ""),
                *(
                    bytes_text(results.median(scene, tool, field))
                    for field in ("written_bytes", "fetched_bytes", "stored_bytes")
                ),
                requests_text(results.last(scene, tool, "requests")),
                bytes_text(results.peak(scene, tool)),
                other_text(results, scene, tool),
            )
        )
    return without_empty_columns(("", "time", "written", "fetched", "stored", "requests", "peak memory", "also"), rows)


def spread(times):
    if not times:
        return NOT_MEASURED
    middle = seconds_text(median(times))
    return middle if len(times) == 1 else f"{middle} ({seconds_text(min(times))} to {seconds_text(max(times))})"


def other_text(results, scene, tool):
    names = dict.fromkeys(name for figure in results.of(scene, tool) for name in figure.other)
    return ", ".join(f"{name.replace('_', ' ')} {results.other(scene, tool, name):.0f}" for name in names)


def without_empty_columns(header, rows):
    """A column in which no tool has a figure says nothing about this scene."""
    kept = [at for at in range(len(header)) if at == 0 or any(row[at] not in (NOT_MEASURED, "") for row in rows)]
    return table([header[at] for at in kept], [[row[at] for at in kept] for row in rows])


def phase_table(results):
    rows = []
    for scene in results.scenes():
        for tool in results.tools(scene):
            phases = results.last(scene, tool, "phases")
            if phases:
                total_ms = sum(phases.values()) or 1
                rows.append(
                    (
                        TITLES.get(scene, scene),
                        tool,
                        ", ".join(
                            f"{name} {value_ms:.1f} ms ({100 * value_ms / total_ms:.0f} %)"
                            for name, value_ms in phases.items()
                        ),
                    )
                )
    return table(("", "", "phases"), rows) if rows else ""


# --- the machine ---


def facts_text(facts):
    versions = "\n".join(f"- {name}: {version}" for name, version in facts["versions"].items())
    missing = f"\n\nNot installed, so not measured: {', '.join(facts['missing'])}." if facts["missing"] else ""
    return f"Measured {facts['when']} on {facts['machine']} with\n\n    {facts['command']}\n\n{versions}{missing}"


def machine_text():
    return (
        f"{os.cpu_count()} cores ({cpu_model()}), {memory_bytes() / 2**30:.0f} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}; "
        f"load at the start {os.getloadavg()[0]:.1f}"
    )


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return re.search(r"^model name\s*:\s*(.+)$", file.read(), re.M).group(1)
    except (OSError, AttributeError):
        return platform.machine()


def memory_bytes():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def today():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")


# --- the document ---


def write_block(path, name, text, script="run.py"):
    """Replaces the block `name` of the document, or appends it; everything outside of it stays as it is."""
    begin, end = f"<!-- {name}: begin, written by benches/{script} -->", f"<!-- {name}: end -->"
    document = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    block = f"{begin}\n\n{text.strip()}\n\n{end}"
    before, found, rest = document.partition(begin)
    if found:
        if end not in rest:
            raise ValueError(f"{path}: `{begin}` has no `{end}`")
        document = before + block + rest.partition(end)[2]
    else:
        document = document.rstrip("\n") + f"\n\n{block}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document, encoding="utf-8")
