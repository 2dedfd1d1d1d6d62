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
import openpyxl
from pyxform.xls2xform import convert

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("KARWAN_PROGRAM", str(ROOT / "target/release/karwan"))
SHARED = pathlib.Path(os.environ.get("KARWAN_SHARED", ROOT.parent / "shared"))
# Functions of the specification, or of other engines, that JavaRosa does not have.
NOT_JAVAROSAS = re.compile(r"cannot handle function '([a-z:-]+)'")
ORACLE = ROOT / "target/form-oracle"
# Files that an XForm names.
FILES = re.compile(r'src="jr://file(?:-csv)?/([^"/]+)"')
NOW = "2026-11-23T10:00:00Z"
TIMEOUT_S = 120


def workbooks(folders):
    for folder in folders:
        for book in sorted(folder.rglob("*.xlsx")):
            yield book


def generated(first, last, folder):
    made = folder / "workbooks"
    shutil.rmtree(made, ignore_errors=True)
    subprocess.run([ROOT / "target/release/make_forms", made, str(first), str(last)], check=True)
    return made


def without_calculations(made):
    """Copies in which every calculation is `1`: what is left of a form is types, groups, repeats, lists, relevance and entities."""
    folder = made.with_name("plain")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in made.iterdir():
        if file.suffix != ".xlsx":
            shutil.copy(file, folder)
            continue
        book = openpyxl.load_workbook(file)
        survey = book["survey"]
        column = next(cell.column for cell in survey[1] if cell.value == "calculation")
        for row in survey.iter_rows(min_row=2, min_col=column, max_col=column):
            if row[0].value:
                row[0].value = "1"
        book.save(folder / file.name)
    return folder


def ours(books, folder):
    """Our XForms and their workbooks, and the workbooks that we refuse with the reason."""
    files, not_converted = {}, {}
    for number, book in enumerate(books):
        file = folder / f"{number}-{book.stem}.xml"
        ran = subprocess.run([PROGRAM, "form", "convert", book, file], capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            files[str(file)] = book
        else:
            not_converted[book] = " ".join(ran.stderr.split())
    return files, not_converted


def pyxforms(books, folder):
    """What pyxform makes of workbooks and they; none of those that it refuses."""
    files = {}
    for number, book in enumerate(books):
        file = folder / f"{number}-{book.stem}.pyxform.xml"
        try:
            text = convert(xlsform=book).xform
        except Exception as reason:  # whatever it raises is what it says of the form
            print(f"not converted by pyxform: {book.name}: {reason}")
            continue
        # Columns of ours have a prefix that the workbook does not declare.
        file.write_text(text.replace("<h:html ", '<h:html xmlns:karwan="urn:karwan:xforms" ', 1), encoding="utf8")
        files[str(file)] = book
    return files


def refused_by_web(files, folder):
    """XForms that ODK's engine for the web refuses; the files that they name are there, some without rows."""
    found = {}
    for file, book in files.items():
        media = folder / "media" / pathlib.Path(file).stem
        shutil.rmtree(media, ignore_errors=True)
        media.mkdir(parents=True)
        for name in FILES.findall(pathlib.Path(file).read_text(encoding="utf8")):
            beside = [place / name for place in (book.parent, SHARED / "forms/_attachments") if (place / name).exists()]
            (media / name).write_bytes(beside[0].read_bytes() if beside else b"name,label\n")
        command = ["node", "oracle.mjs", file, "--media", media, "--now", NOW]
        ran = subprocess.run(command, cwd=ORACLE, input="", capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if ran.returncode != 0:
            found[file] = " ".join(ran.stderr.split())[:300]
    return found


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--made", nargs=2, type=int, default=(1, 40), metavar=("FROM", "TO"))
    options.add_argument("--web", type=int, default=12, help="generated forms that the engine for the web opens too, beside all others")
    options.add_argument("--out", type=pathlib.Path, default=ROOT / "target/peers/opens")
    options.add_argument("folders", nargs="*", type=pathlib.Path)
    asked = options.parse_args()
    if not odk.is_here():
        print("skipped: no Java, or no ODK Validate in pyxform's package")
        return 0
    asked.out.mkdir(parents=True, exist_ok=True)
    real = list(workbooks([ROOT / "server/programmes", SHARED / "forms", *asked.folders]))
    made = generated(*asked.made, asked.out)
    # JavaRosa lacks some function of nearly every generated form, so each is opened without its calculations as well.
    books = real + list(workbooks([made, without_calculations(made)]))
    files, not_converted = ours(books, asked.out)
    refused = odk.refusals(files)
    theirs = pyxforms([files[file] for file in refused] + list(not_converted), asked.out)
    refused_theirs = {theirs[file] for file in odk.refusals(theirs)}
    counts, worse = collections.Counter(), 0
    for book, why in [(files[file], why) for file, why in refused.items()] + list(not_converted.items()):
        function = NOT_JAVAROSAS.search(why)
        if function:
            counts[f"refused: JavaRosa has no {function[1]}()"] += 1
        elif book in refused_theirs and book in not_converted:
            counts["not converted, and ODK Validate refuses what pyxform makes of it"] += 1
        elif book in refused_theirs:
            counts["refused, and what pyxform makes of it too"] += 1
        else:
            worse += 1
            print(f"refused: {book}: {why}")
    opened = [book for file, book in files.items() if file not in refused]
    real_opened, plain_opened = sum(book in real for book in opened), sum(book.parent.name == "plain" for book in opened)
    count = (len(books) - len(real)) // 2
    print(f"ODK Validate opens {real_opened} of {len(real)} forms of programmes")
    print(f"  and {len(opened) - real_opened - plain_opened} of {count} generated ones; {plain_opened} of them without their calculations")
    for what, times in sorted(counts.items()):
        print(f"  {times:5} {what}")
    print(f"  {worse:5} refused where what pyxform makes is not")
    if (ORACLE / "node_modules/jsdom").is_dir() and shutil.which("node"):
        chosen = {file: book for number, (file, book) in enumerate(files.items()) if number < len(real) + asked.web}
        web = refused_by_web(chosen, asked.out)
        for file, why in web.items():
            print(f"refused by ODK's engine for the web: {files[file]}: {why}")
        print(f"ODK's engine for the web opens {len(chosen) - len(web)} of {len(chosen)}")
        worse += len(web)
    else:
        print("skipped: ODK's engine for the web, which the test `form_oracle` installs")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
