"""ODK Validate, which is JavaRosa, over many XForms at once: the jar lies in pyxform's own package."""

import pathlib
import re
import shutil
import subprocess

import pyxform

JAR = pathlib.Path(pyxform.__file__).parent / "validators/odk_validate/bin/ODK_Validate.jar"
# XForms handed to one Java process, and seconds that it may take.
BATCH = 400
TIMEOUT_S = 600
# A line of its standard output begins what is said of one file.
BEGINS = re.compile(r"^Validating: (.*)$", re.MULTILINE)


def is_here():
    return shutil.which("java") is not None and JAR.exists()


def refusals(files):
    """The files that do not open, each with what is said of it."""
    found = {}
    files = [str(file) for file in files]
    for start in range(0, len(files), BATCH):
        ran = subprocess.run(
            ["java", "-jar", JAR, *files[start : start + BATCH]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        told, _, failed = ran.stdout.partition("The following files failed validation:")
        parts = BEGINS.split(told)
        said = dict(zip(parts[1::2], parts[2::2]))
        for file in failed.splitlines():
            if file.strip() in files:
                found[file.strip()] = reason(said.get(file.strip(), ""))
    return found


def reason(told):
    """The line that says what is wrong; of a stack of exceptions the innermost."""
    lines = [line.strip() for line in told.splitlines() if line.strip() and not line.strip().startswith("at ")]
    causes = [line for line in lines if line.startswith("Caused by:")]
    chosen = causes[-1:] or [line for line in lines if "rror" in line or "xception" in line][:1] or lines[:1]
    after = lines[lines.index(chosen[0]) + 1 :][:1] if chosen else []
    return " ".join(chosen + after)[:400]
