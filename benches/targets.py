"""What pagekeep has set itself to reach, and how each line is judged from the figures of one run.

A bound is a number here; a measured number never is. What was not measured in this run says so.
"""

import dataclasses

from running import NAME as RUNNING
from scenes_diff import DIFF_NAME, LIVE_NAME, SQLDIFF
from scenes_long import CHAIN_NAME, FRESH_NAME
from scenes_pruned import PLACES, SHAPES, all_name, few_name
from scenes_s3 import COUNTED_NAME, FILE_NAME, NO_BASES_NAME, S3_NAME
from scenes_trust import PLAIN_NAME, PRUNE_NAME, SEALED_NAME

PAGEKEEP, ZSTD = "pagekeep", "zstd -3 -T2"
MB = 1e6
PEAK_LIMIT_BYTES = 160 * MB
PEAK_GROWTH_LIMIT = 1.2
PRUNE_PEAK_LIMIT_BYTES = 200 * MB
PRUNED_LIMIT = 1.25
TEN_ROWS_LIMIT_BYTES = 20_000
RECORD_LIMIT_BYTES = 2_000
LOOKUP_LIMIT_BYTES = 1_000_000
NOT_MEASURED = "not measured"
PEAK_SCENES = (
    ("full", PAGEKEEP),
    ("increment", PAGEKEEP),
    ("unchanged", PAGEKEEP),
    ("touched", PAGEKEEP),
    ("ten-rows", PAGEKEEP),
    ("vacuum", PAGEKEEP),
    ("restore-full", PAGEKEEP),
    ("restore", PAGEKEEP),
    ("over", PAGEKEEP),
    ("s3-full", S3_NAME),
    ("s3-restore", S3_NAME),
    ("without-bases", NO_BASES_NAME),
    ("query-scan", S3_NAME),
    ("query-count", S3_NAME),
    ("chain", CHAIN_NAME),
    ("chain-restore", CHAIN_NAME),
)
LARGE_SCENES = ("large-full", "large-unchanged", "large-touched", "large-increment", "large-over", "large-restore")


@dataclasses.dataclass
class Row:
    what: str
    measured: str
    compared_with: str
    judged: str
    to_reach: str
    verdict: str


def seconds_text(value):
    return NOT_MEASURED if value is None else f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def bytes_text(value):
    if value is None:
        return NOT_MEASURED
    return f"{value:.0f} B" if value < 10_000 else f"{value / 1e3:.1f} kB" if value < 1e6 else f"{value / MB:.2f} MB"


def verdict(met):
    return {True: "met", False: "**missed**", None: NOT_MEASURED}[met]


def ratio_row(what, mine, name, theirs, limit, text=seconds_text, at_least=False):
    """`mine` over `theirs` against a limit. For speeds (`at_least`) the ratio is theirs over mine, of times."""
    known = mine is not None and theirs is not None and mine > 0 and theirs > 0
    ratio = ((theirs / mine) if at_least else (mine / theirs)) if known else None
    met = (ratio >= limit if at_least else ratio <= limit) if known else None
    sign = "at least" if at_least else "at most"
    return Row(
        what,
        text(mine),
        f"{name}: {text(theirs)}",
        f"{ratio:.3g} x" if known else "",
        f"{sign} {limit:.3g} x",
        verdict(met),
    )


def limit_row(what, value, limit, text=bytes_text, judged=""):
    return Row(
        what, text(value), "", judged, f"at most {text(limit)}", verdict(None if value is None else value <= limit)
    )


def exact_row(what, value, wanted, text=str):
    return Row(
        what,
        NOT_MEASURED if value is None else text(value),
        "",
        "",
        text(wanted),
        verdict(None if value is None else value == wanted),
    )


def judge(results):
    """All rows, in the order of the targets."""
    return [
        *full_rows(results),
        *increment_rows(results),
        *quiet_rows(results),
        *restore_rows(results),
        *chain_rows(results),
        *diff_rows(results),
        *s3_rows(results),
        *query_rows(results),
        *trust_rows(results),
        *pruned_rows(results),
        *peak_rows(results),
    ]


def full_rows(results):
    what, mine = "first full sync to file://", results.median("full", PAGEKEEP, "seconds")
    for name, limit in ((ZSTD, 1.0), ("rustic", 0.65), ("borg", 0.5), ("restic", 0.25)):
        yield ratio_row(what, mine, name, results.median("full", name, "seconds"), limit)
    yield ratio_row(
        "bytes stored by it",
        results.median("full", PAGEKEEP, "stored_bytes"),
        ZSTD,
        results.median("full", ZSTD, "stored_bytes"),
        1.10,
        bytes_text,
    )


def increment_rows(results):
    what, mine = "increment 1 % + 0.5 %, bytes", results.median("increment", PAGEKEEP, "written_bytes")
    yield per_gb_row(results, what, "increment", PAGEKEEP, 7 * MB)
    for name, limit in ((RUNNING, 1 / 10), ("restic", 1 / 50)):
        yield ratio_row(what, mine, name, results.median("increment", name, "written_bytes"), limit, bytes_text)
    mine = results.median("increment", PAGEKEEP, "seconds")
    for name, limit in (("rustic", 1 / 3), ("restic", 1 / 5)):
        yield ratio_row("increment 1 % + 0.5 %, time", mine, name, results.median("increment", name, "seconds"), limit)
    yield per_gb_row(results, "increment without bases, bytes", "without-bases", NO_BASES_NAME, 55 * MB)


def per_gb_row(results, what, scene, tool, limit):
    written, database = (results.median(scene, tool, field) for field in ("written_bytes", "database_bytes"))
    rate = None if written is None else written / (database / 1e9)
    return Row(
        what,
        bytes_text(written),
        "",
        "" if rate is None else f"{bytes_text(rate)} per GB",
        f"at most {bytes_text(limit)} per GB",
        verdict(None if rate is None else rate <= limit),
    )


def quiet_rows(results):
    yield limit_row(
        "nothing changed, whole process", results.median("unchanged", PAGEKEEP, "seconds"), 0.030, seconds_text
    )
    yield exact_row("nothing changed, requests (told)", request_total(results, "unchanged", PAGEKEEP), 0)
    yield exact_row("nothing changed, S3 requests (counted)", request_total(results, "s3-unchanged", COUNTED_NAME), 0)
    yield exact_row(
        "touched but equal, bytes written", largest(results, "touched", PAGEKEEP, "written_bytes"), 0, bytes_text
    )
    for verb, wanted in (("put", 1), ("list", 0), ("head", 0)):
        counts = [requests[verb] for requests in results.values("s3-ten-rows", COUNTED_NAME, "requests")]
        met = all(count == wanted for count in counts) if counts else None
        yield Row(
            f"ten rows, S3: {verb.upper()} of each round",
            ", ".join(map(str, counts)) or NOT_MEASURED,
            "",
            "",
            str(wanted),
            verdict(met),
        )
    yield Row(
        "ten rows, S3: all requests of the last round",
        requests_text(results.last("s3-ten-rows", COUNTED_NAME, "requests")),
        "",
        "",
        "",
        "shown",
    )
    yield limit_row(
        "ten rows, S3: bytes sent", largest(results, "s3-ten-rows", COUNTED_NAME, "written_bytes"), TEN_ROWS_LIMIT_BYTES
    )


def diff_rows(results):
    theirs = results.median("diff", SQLDIFF, "seconds")
    for name in (DIFF_NAME, LIVE_NAME):
        yield ratio_row(f"rows that differ ({name})", results.median("diff", name, "seconds"), SQLDIFF, theirs, 1 / 10)
    yield ratio_row(
        "rows that differ, S3: bytes fetched",
        results.median("s3-diff", COUNTED_NAME, "fetched_bytes"),
        "the increment",
        results.median("s3-diff-increment", COUNTED_NAME, "written_bytes"),
        1.5,
        bytes_text,
    )


def request_total(results, scene, tool):
    totals = [sum(requests.values()) for requests in results.values(scene, tool, "requests")]
    return max(totals, default=None)


def largest(results, scene, tool, field):
    return max(results.values(scene, tool, field), default=None)


def restore_rows(results):
    for what, scene in (
        ("restore of a fresh full", "restore-full"),
        ("restore of the newest, after increments", "restore"),
    ):
        mine = results.median(scene, PAGEKEEP, "seconds")
        for name, limit in ((ZSTD, 0.7), ("rustic", 1 / 2), ("restic", 1 / 3)):
            yield ratio_row(
                what, mine, "zstd -d" if name == ZSTD else name, results.median(scene, name, "seconds"), limit
            )
    what = "restore over a copy one increment old, bytes fetched"
    yield ratio_row(
        f"{what} (told)",
        results.median("over", PAGEKEEP, "fetched_bytes"),
        "the increment",
        results.median("over-increment", PAGEKEEP, "written_bytes"),
        1.2,
        bytes_text,
    )
    yield ratio_row(
        f"{what} (S3, counted)",
        results.median("s3-over", COUNTED_NAME, "fetched_bytes"),
        "the increment",
        results.median("s3-increment", COUNTED_NAME, "written_bytes"),
        1.2,
        bytes_text,
    )


def chain_rows(results):
    syncs = results.other("chain", CHAIN_NAME, "syncs")
    what = f"restore after {syncs:.0f} syncs of ten rows" if syncs else "restore after many syncs of ten rows"
    yield ratio_row(
        what,
        results.median("chain-restore", CHAIN_NAME, "seconds"),
        FRESH_NAME,
        results.median("chain-restore", FRESH_NAME, "seconds"),
        1.3,
    )
    for part, suffix in (("on average", ""), ("last tenth", "_at_end")):
        row = limit_row(
            f"snapshot record without its data, {part}",
            results.other("chain", CHAIN_NAME, f"record_bytes{suffix}"),
            RECORD_LIMIT_BYTES,
        )
        whole = results.other("chain", CHAIN_NAME, f"bytes_per_sync{suffix}")
        row.compared_with = f"with its data: {bytes_text(whole)}"
        yield row
    trips = [
        figure.other["round_trips"] for figure in results.of("chain-open", CHAIN_NAME) if "round_trips" in figure.other
    ]
    yield limit_row(
        "opening any of them, dependent round trips",
        max(trips, default=None),
        2,
        lambda value: NOT_MEASURED if value is None else str(value),
    )


def s3_rows(results):
    for what, scene in (("S3 full sync, speed", "s3-full"), ("S3 restore, speed", "s3-restore")):
        yield ratio_row(
            what,
            results.median(scene, S3_NAME, "seconds"),
            "file://",
            results.median(scene, FILE_NAME, "seconds"),
            0.8,
            at_least=True,
        )
        counted = results.last(scene, COUNTED_NAME, "requests")
        yield Row(f"{what.split(',')[0]}, requests (counted)", requests_text(counted), "", "", "", "shown")


def query_rows(results):
    for tool in (FILE_NAME, S3_NAME):
        for what, scene in (("in the order of an index", "query-count"), ("in its own order", "query-scan")):
            yield ratio_row(
                f"count(*) of the largest table {what}, speed ({tool})",
                results.median(scene, tool, "seconds"),
                "restore",
                results.median("query-restore", tool, "seconds"),
                0.5,
                at_least=True,
            )
    for what, scene, limit in (("one row by its key", "query-lookup", 8), ("the same again", "query-again", 0)):
        yield limit_row(f"{what}, requests", request_total(results, scene, COUNTED_NAME), limit, str)
    fetched = results.last("query-lookup", COUNTED_NAME, "fetched_bytes")
    yield limit_row("one row by its key, bytes", fetched, LOOKUP_LIMIT_BYTES)


def trust_rows(results):
    for what, scene in (("encrypted first full sync", "sealed-full"), ("encrypted restore", "sealed-restore")):
        theirs = results.median(scene, PLAIN_NAME, "seconds")
        yield ratio_row(what, results.median(scene, SEALED_NAME, "seconds"), PLAIN_NAME, theirs, 1.15)
    for scene in ("prune-dry", "prune", "prune-again"):
        yield limit_row(f"peak memory: {scene}", results.peak(scene, PRUNE_NAME), PRUNE_PEAK_LIMIT_BYTES)


def pruned_rows(results):
    for shape in SHAPES:
        for rule in PLACES:
            few, all_ = few_name(shape, rule), all_name(shape, rule)
            stored = [results.median("pruned", name, "stored_bytes") for name in (all_, few)]
            yield ratio_row(f"stored after a prune: {all_}", stored[0], few, stored[1], PRUNED_LIMIT, bytes_text)


def requests_text(requests):
    if requests is None:
        return NOT_MEASURED
    return ", ".join(f"{count} {verb.upper()}" for verb, count in requests.items() if count) or "none"


def peak_rows(results):
    for scene, tool in PEAK_SCENES:
        yield limit_row(f"peak memory: {scene} ({tool})", results.peak(scene, tool), PEAK_LIMIT_BYTES)


def judge_large(results):
    """The larger database beside the smaller one, step by step."""
    names = results.tools("large-full")
    small, great = names if len(names) == 2 else (None, None)
    for scene in LARGE_SCENES:
        yield limit_row(
            f"peak memory: {scene} ({small})", results.peak(scene, small) if small else None, PEAK_LIMIT_BYTES
        )
        yield ratio_row(
            f"peak memory: {scene} ({great})",
            results.peak(scene, great) if great else None,
            small or "the smaller database",
            results.peak(scene, small) if small else None,
            PEAK_GROWTH_LIMIT,
            bytes_text,
        )
