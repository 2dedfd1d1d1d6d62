"""Turns workbooks into XForms with `karwan form convert` and opens each with ODK's own tools.

    target/tests/venv/bin/python tests/peers/odk_opens.py [--made FROM TO] [--out DIR] [FOLDER...]

Opened are every form under `server/programmes`, the forms under KARWAN_SHARED, generated ones (seeds FROM to TO) and the workbooks under each
FOLDER: with ODK Validate, which is JavaRosa, and with ODK's engine for the web where `target/form-oracle` has it. A refusal for a function that
JavaRosa does not have is told apart. What pyxform makes of the same workbook is opened too where ours is refused, so that a fault of the form
is told from one of ours. Ends with 1 where a form that pyxform's conversion opens does not open with ours.
"""
import argparse
import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys

import odk
from pyxform.xls2xform import convert

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("KARWAN_PROGRAM", str(ROOT / "target/release/karwan"))
SHARED = pathlib.Path(os.environ.get("KARWAN_SHARED", ROOT.parent / "shared"))
# Functions of the specification, or of other engines, that JavaRosa does not have.
NOT_JAVAROSAS = re.compile(r"cannot handle function '([a-z:-]+)'")
ORACLE = ROOT / "target/form-oracle"
NOW = "2026-11-23T10:00:00Z"
TIMEOUT_S = 120


def workbooks(folders):
    for folder in folders:
        for book in sorted(folder.rglob("*.xlsx")):
            yield book


def generated(first, last, folder):
    made = folder / "workbooks"
    subprocess.run([ROOT / "target/release/make_forms", made, str(first), str(last)], check=True)
    return made


def ours(books, folder):
    """Our XForms by their workbooks; those that we refuse are told."""
    files = {}
    for number, book in enumerate(books):
        file = folder / f"{number}-{book.stem}.xml"
        ran = subprocess.run([PROGRAM, "form", "convert", book, file], capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            files[str(file)] = book
        else:
            print(f"not converted: {book}: {ran.stderr.strip().splitlines()[0]}")
    return files


def pyxforms(books, folder):
    files = {}
    for number, book in enumerate(books):
        file = folder / f"{number}-{book.stem}.pyxform.xml"
        try:
            text = convert(xlsform=book).xform
        except Exception as reason:  # whatever it raises is what it says of the form
            print(f"not converted by pyxform: {book}: {reason}")
            continue
        # Columns of ours have a prefix that the workbook does not declare.
        file.write_text(text.replace("<h:html ", '<h:html xmlns:karwan="urn:karwan:xforms" ', 1), encoding="utf8")
        files[str(file)] = book
    return files


def refused_by_web(files):
    """XForms that ODK's engine for the web refuses, where it is installed."""
    if not (ORACLE / "node_modules/@getodk").is_dir() or not shutil.which("node"):
        print("skipped: ODK's engine for the web, which the test `form_oracle` installs")
        return None
    found = {}
    for file, book in files.items():
        media = SHARED / "forms/_attachments" if (SHARED / "forms") in book.parents else book.parent
        ran = subprocess.run(["node", "oracle.mjs", file, "--media", media, "--now", NOW, "--invent", "1", "1"], cwd=ORACLE,
                             capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if ran.returncode != 0:
            found[file] = " ".join(ran.stderr.split())[:300]
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--made", nargs=2, type=int, default=(1, 40), metavar=("FROM", "TO"))
    options.add_argument("--out", type=pathlib.Path, default=ROOT / "target/peers/opens")
    options.add_argument("folders", nargs="*", type=pathlib.Path)
    asked = options.parse_args()
    if not odk.is_here():
        print("skipped: no Java, or no ODK Validate in pyxform's package")
        return 0
    asked.out.mkdir(parents=True, exist_ok=True)
    folders = [ROOT / "server/programmes", SHARED / "forms", generated(*asked.made, asked.out), *asked.folders]
    books = list(workbooks(folders))
    files = ours(books, asked.out)
    refused = odk.refusals(files)
    theirs = pyxforms([files[file] for file in refused], asked.out)
    refused_theirs = {theirs[file]: why for file, why in odk.refusals(theirs).items()}
    counts, worse = collections.Counter(), 0
    for file, why in refused.items():
        book, function = files[file], NOT_JAVAROSAS.search(why)
        if function:
            counts[f"JavaRosa has no {function[1]}()"] += 1
        elif book in refused_theirs:
            counts["refused, and what pyxform makes of it too"] += 1
            print(f"refused as pyxform's: {book}: {why}\n    pyxform's: {refused_theirs[book]}")
        else:
            worse += 1
            print(f"refused: {book}: {why}")
    for what, count in sorted(counts.items()):
        print(f"  {count:5} {what}")
    print(f"ODK Validate opens {len(files) - len(refused)} of {len(files)} XForms that we made; {worse} are refused where pyxform's are not")
    web = refused_by_web(files)
    if web is not None:
        for file, why in web.items():
            print(f"refused by ODK's engine for the web: {files[file]}: {why}")
        print(f"ODK's engine for the web opens {len(files) - len(web)} of {len(files)}")
    return 1 if worse or len(files) < len(books) else 0


if __name__ == "__main__":
    sys.exit(main())
