"""Where we differ from pyxform on purpose, each with its reason; and which of its warnings are which of ours."""

import re

# A kind of difference, what each of its lines has, and why it is right.
DIFFERENCES = [
    ("only karwan accepts", r"AttributeError|TypeError|KeyError", "pyxform itself fails, which says nothing of the form"),
    (
        "only karwan accepts",
        r"Invalid value for `self.bind\[\"type\"\]`",
        "a select's answer is of its choices' type, whatever `bind::type` says",
    ),
    ("only karwan accepts", r"multiple survey elements named 'data'", "`${data}` is the question of that name: the root is no question"),
    ("only karwan accepts", r"'save_to' value is invalid\. To save entity", "a row that only names a file has no answer to save"),
    (
        "only pyxform accepts",
        r"depends on itself|in a circle",
        "a value that waits for itself; ODK Validate sees most of these, and not all",
    ),
    ("only pyxform accepts", r"the question type `(osm|begin loop|end loop)", "refused by name: `osm` and loops are not done"),
    ("only pyxform accepts", r"never asked, so it cannot trigger", "pyxform writes no action for it, so the form would do nothing"),
    (
        "only pyxform accepts",
        r"`(group|repeat|loop)` is not a question type",
        "not in XLSForm; pyxform makes a group of it that cannot be closed",
    ),
    (
        "only pyxform accepts",
        r"is not in `.*`, where the entity|already makes an entity of another list",
        "what is saved stands outside of the repeat that makes the entity: nothing would be saved",
    ),
    (
        "only pyxform accepts",
        r"is not a function|\d arguments? for|names no list|found `\$",
        "ODK's engines refuse this too, but only when the expression is evaluated",
    ),
    ("only pyxform accepts", r"big-image|asked without a label", "the header is one that pyxform takes for another column"),
    ("other meaning", r"jr:count|_count\b", "a count means something at a repeat only; we warn"),
    (
        "other meaning",
        r" query |/(input|select1)\[/data/a\]|list (a=b|towns)",
        "the choices of `select_one_external` stand in the XForm, so no itemsets.csv is needed; `query` is no column of XLSForm",
    ),
    (
        "other meaning",
        r"/itemset\[|/item\[|^.list s\b",
        "a `search()` that cannot be read is ignored, with a warning, and the list itself is shown",
    ),
    (
        "other meaning",
        r"jr:(constraint|required)Msg|guidance|instanceID|instance/data/meta|[Rr]equired",
        "a header in another case, or without `bind::`, that pyxform passes over",
    ),
    (
        "other meaning",
        r"languages \['default', '(x|en)'\]|\('x', |\('en', |'jr://x/|list yn label",
        "a header of three parts, or of a medium that there is not: pyxform reads the parts in another order",
    ),
    (
        "other meaning",
        r"jr://images/|instance/data/a (https?:|now)",
        "a photo's default that is an address or an expression is not the name of a file",
    ),
]

# The same, where ODK Validate refuses what pyxform makes of the workbook.
REFUSED = [
    (
        "other meaning",
        r"/meta/entity/@(baseVersion|branchId|trunkVersion) (calculate|readonly)",
        "the versions of an entity would be looked up in a list that is not in the form",
    ),
    (
        "other meaning",
        r"setvalue /data/a on \['odk-instance-first-load'\] |instance/data/a ",
        "a default that is no expression, though it may look like one, is a text",
    ),
    ("other meaning", r"languages \[", "a header that ends in `::` names no language"),
]

# What pyxform warns of and what we say of the same.
WARNINGS = [
    (r"'disabled' column header", r"no part of XLSForm"),
    (r"Row without name, text, or label", r"no type, name or label"),
    (r"no longer supported on most devices", r"most devices no longer"),
    (r"has no label", r"has no label"),
    (r"select one external is only meant", r"meant for choices that are filtered"),
    (r"max-pixels parameter", r"without `max-pixels`"),
    (r"valid machine-readable codes", r"has no code"),
    (r"form_id and id_string", r"`form_id` and `id_string`"),
    (r"Column headers must not be empty", r"cannot be used in a choice filter"),
    (r"Choices should have a label", r"no label"),
    (r"case-insensitive match", r"upper and lower case"),
    (r"similar names were found", r"is it meant to be"),
    (r"is missing the", r"lacks the columns"),
    (r"uses or_other and translations", r"`or_other` adds words"),
]
ROW = re.compile(r"\[row : (\d+)\]")


def reason(kind, lines, refused):
    """Why a difference is right, or nothing. `refused`: what ODK Validate says of pyxform's XForm, where it refuses that."""
    if lines and lines[0].startswith("what pyxform writes is no XML"):
        return "what pyxform writes is no XML"
    if refused and kind == "only pyxform accepts":
        return "ODK Validate refuses what pyxform makes of it"
    for of, pattern, why in DIFFERENCES + (REFUSED if refused else []):
        if of == kind and all(re.search(pattern, line) for line in lines):
            return why
    return None


def warnings_missing(theirs, own):
    """Those of pyxform's warnings to which none of ours answers, in the same row where it names one."""
    return [warning for warning in theirs if not any(answers(warning, ours) for ours in own)]


def answers(warning, ours):
    row = ROW.search(warning)
    if row and int(row[1]) > 1 and f" row {row[1]}" not in ours:
        return False
    return any(re.search(of, warning) and re.search(told, ours) for of, told in WARNINGS)


# What pyxform refuses in one row and we in another, and mean the same fault or one before it.
OTHER_ROWS = [
    # Its rows of this sheet are counted from the one below the header.
    (r"\[row : 1\] On the 'settings' sheet", r"settings row 2"),
    (r"Entity lists must have a name", r"entities row 1, column list_name: the column is missing"),
    (r"has a reference in container scope", r"where the entity `.*` is made"),
    # What is not read cannot be wrong.
    (r"", r"survey row 1, column type: the column is missing"),
    (r"Unmatched", r"is not a question type"),
]


def same_row(theirs, own):
    """Whether the row that pyxform names in a refusal is one that we name, or there is a reason for another."""
    row = ROW.search(theirs)
    if not row or re.search(rf" row {row[1]}\b", own):
        return True
    return any(re.search(of, theirs) and re.search(told, own) for of, told in OTHER_ROWS)
