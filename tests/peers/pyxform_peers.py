"""Reads several thousand small workbooks with pyxform and with `karwan`, and tells where the two differ.

    target/tests/venv/bin/python tests/peers/pyxform_peers.py [--every N] [--seed N] [--bent N] [--only WORD] [--out DIR]

Compared are whether a workbook is accepted, what the XForms mean that both make of it (see `meaning`), and whether we warn where
pyxform warns. Each workbook that differs is kept in DIR with what each said. Ends with 1 where a difference is not explained.
"""

import argparse
import collections
import concurrent.futures
import difflib
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as tree

import explained
import odk
import openpyxl
import workbooks
from meaning import meaning
from pyxform.xls2xform import convert

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("KARWAN_PROGRAM", str(ROOT / "target/release/karwan"))
# Faults told for one workbook, and workbooks told for one kind of difference.
TOLD_MAX = 6
# Workbooks handed to one process.
BATCH = 200


def written(sheets):
    """The bytes of a workbook of text cells."""
    book = openpyxl.Workbook(write_only=True)
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        for cells in rows:
            page.append([cell or None for cell in cells])
    bytes_of = io.BytesIO()
    book.save(bytes_of)
    return bytes_of.getvalue()


def pyxforms(sheets, cache):
    """What pyxform says; kept, since it is the slower one."""
    key = hashlib.sha256(json.dumps(sheets).encode()).hexdigest()[:24]
    kept = cache / f"{key}.json"
    if kept.exists():
        return key, json.loads(kept.read_text(encoding="utf8"))
    bytes_of = written(sheets)
    (cache / f"{key}.xlsx").write_bytes(bytes_of)
    warnings = []
    try:
        found = {"xform": convert(xlsform=bytes_of, file_type=".xlsx", form_name="data", warnings=warnings).xform, "warnings": warnings}
    except Exception as reason:  # whatever it raises is what it says of the form
        found = {"refused": f"{type(reason).__name__}: {reason}"}
    kept.write_text(json.dumps(found), encoding="utf8")
    return key, found


def checked(keys, cache):
    """What we say of workbooks: warnings, or faults."""
    books = {str(cache / f"{key}.xlsx"): key for key in keys}
    ran = subprocess.run([PROGRAM, "--json", "form", "check", *books], capture_output=True, text=True, check=False)
    found = {key: {"refused": ""} for key in keys}
    for understood in json.loads(ran.stdout or "[]"):
        found[books[understood["file"]]] = {"warnings": understood["warnings"]}
    faults = json.loads(ran.stderr)["error"] if ran.returncode != 0 else ""
    for line in faults.splitlines():
        file, _, fault = line.partition(": ")
        if file in books:
            found[books[file]]["refused"] += fault + "\n"
    return found


def converted(key, cache):
    """The XForm that we make."""
    out = cache / f"{key}.xml"
    subprocess.run([PROGRAM, "form", "convert", cache / f"{key}.xlsx", out], capture_output=True, check=True)
    return out.read_text(encoding="utf8")


def ours(made, cache):
    """What we say of all workbooks, and the XForms of those that both accept."""
    keys = [key for _, _, key, _ in made]
    found = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in pool.map(lambda start: checked(keys[start : start + BATCH], cache), range(0, len(keys), BATCH)):
            found.update(part)
        both = [key for _, _, key, theirs in made if "xform" in theirs and "refused" not in found[key]]
        for key, xform in zip(both, pool.map(lambda key: converted(key, cache), both)):
            found[key]["xform"] = xform
    return found


def plain(text, key):
    """An XForm with the name of the file that made it, which is where pyxform takes the form's id from, as one word."""
    return text.replace(key, "data")


def differences(theirs, own):
    try:
        their_lines = meaning(theirs)
    except tree.ParseError as reason:
        return [f"what pyxform writes is no XML: {reason}"]
    try:
        own_lines = meaning(own)
    except tree.ParseError as reason:
        return [f"what karwan writes is no XML: {reason}"]
    return [
        line
        for line in difflib.unified_diff(their_lines, own_lines, "pyxform", "karwan", n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]


def refused_by_odk(differing, cache):
    """What ODK Validate says of those of pyxform's XForms that it refuses, by their keys."""
    if not odk.is_here():
        print("skipped: ODK Validate, for want of Java")
        return {}
    files = {}
    for _, _, key, theirs, *_ in differing:
        if "xform" in theirs:
            file = cache / f"{key}.pyxform.xml"
            file.write_text(theirs["xform"], encoding="utf8")
            files[str(file)] = key
    return {files[file]: why for file, why in odk.refusals(files).items()}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--every", type=int, default=1, help="take each so-many-th workbook")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--bent", type=int, default=2000, help="workbooks with random changes")
    options.add_argument("--only", default="", help="workbooks whose name has this")
    options.add_argument("--open", action="store_true", help="open with ODK Validate what we make of each that both accept, too")
    options.add_argument("--told", type=int, default=TOLD_MAX, help="workbooks told of each kind of difference")
    options.add_argument("--out", type=pathlib.Path, default=ROOT / "target/peers")
    asked = options.parse_args()
    cache, kept = asked.out / "made", asked.out / "differ"
    cache.mkdir(parents=True, exist_ok=True)
    kept.mkdir(exist_ok=True)
    for old in kept.iterdir():
        old.unlink()
    chosen = [case for case in workbooks.cases(asked.seed, asked.bent) if asked.only in case[0]][:: asked.every]
    made = {}
    for name, sheets in chosen:
        key, theirs = pyxforms(sheets, cache)
        made.setdefault(key, (name, sheets, key, theirs))
    made = list(made.values())
    answers = ours(made, cache)
    counts, told, reasons = collections.Counter(), collections.defaultdict(list), collections.Counter()
    differing = []
    for name, sheets, key, theirs in made:
        own, kind, lines = answers[key], "both accept", []
        if "refused" in theirs and "refused" in own:
            kind = "both refuse"
            if not explained.same_row(theirs["refused"], own["refused"]):
                told["both refuse, and we name another row"].append((name, [theirs["refused"], *own["refused"].splitlines()]))
        elif "refused" in theirs:
            kind, lines = "only karwan accepts", [theirs["refused"]]
        elif "refused" in own:
            kind, lines = "only pyxform accepts", own["refused"].splitlines()
        else:
            counts["meaning compared"] += 1
            lines = differences(theirs["xform"], plain(own["xform"], key))
            kind = "other meaning" if lines else kind
            counts["warnings of pyxform"] += len(theirs["warnings"])
            for warning in explained.warnings_missing(theirs["warnings"], own["warnings"]):
                told["warning missing"].append((name, [warning, *own["warnings"]]))
        counts[kind] += 1
        if lines:
            differing.append((name, sheets, key, theirs, kind, lines))
    refused = refused_by_odk(differing, cache)
    for name, sheets, key, theirs, kind, lines in differing:
        reason = explained.reason(kind, lines, refused.get(key))
        if reason:
            reasons[f"{kind}: {reason}"] += 1
            counts[f"{kind}, explained"] += 1
            continue
        told[kind].append((name, lines))
        (kept / f"{key}.txt").write_text("\n".join([name, kind, *lines, json.dumps(sheets, ensure_ascii=False)]), encoding="utf8")
        (kept / f"{key}.xlsx").write_bytes((cache / f"{key}.xlsx").read_bytes())
    if asked.open and odk.is_here():
        both = {key: name for name, _, key, _ in made if "xform" in answers[key]}
        unopened = odk.refusals([cache / f"{key}.xml" for key in both])
        for file, why in unopened.items():
            key = pathlib.Path(file).stem
            their_file = cache / f"{key}.pyxform.xml"
            their_file.write_text(next(theirs["xform"] for *_, other, theirs in made if other == key), encoding="utf8")
        theirs_too = odk.refusals([file.replace(".xml", ".pyxform.xml") for file in unopened])
        counts["opened with ODK Validate, as we write them"] = len(both) - len(unopened)
        counts["not opened, nor as pyxform writes them"] = len(theirs_too)
        for file, why in unopened.items():
            if file.replace(".xml", ".pyxform.xml") not in theirs_too:
                told["not opened, and pyxform's is"].append((both[pathlib.Path(file).stem], [why]))
    for kind, cases_of in told.items():
        print(f"\n{kind}: {len(cases_of)}")
        for name, lines in cases_of[: asked.told]:
            print(f"  {name}")
            for line in lines[:TOLD_MAX]:
                print(f"      {line[:300]}")
    print("\nexplained:")
    for reason, count in sorted(reasons.items()):
        print(f"  {count:6} {reason}")
    print(f"\nseed {asked.seed}, {len(made)} workbooks")
    for kind, count in sorted(counts.items()):
        print(f"  {count:6} {kind}")
    unexplained = sum(len(cases_of) for cases_of in told.values())
    print(f"  {unexplained:6} differences without an explanation")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
