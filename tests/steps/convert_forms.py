"""Turns the workbooks of a folder into XForms with pyxform, the reference:  convert_forms.py DIR

Each DIR/NAME.xlsx becomes DIR/NAME.xml, or DIR/NAME.refused with the reason.
"""
import pathlib
import sys

from pyxform.xls2xform import convert

for book in sorted(pathlib.Path(sys.argv[1]).glob("*.xlsx")):
    try:
        book.with_suffix(".xml").write_text(convert(xlsform=book).xform, encoding="utf8")
    except Exception as reason:  # whatever it raises is what it says of the form
        book.with_suffix(".refused").write_text(f"{type(reason).__name__}: {reason}", encoding="utf8")
