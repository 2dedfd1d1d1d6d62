"""How the small workbooks are written down: sheets as rows, and what most of them have."""

LIST = [["list_name", "name", "label"], ["yn", "y", "Yes"], ["yn", "n", "No"], ["color", "r", "Red"], ["color", "g", "Green"]]


def sheet(rows):
    """Rows given as dictionaries, as a table whose header is every column that occurs."""
    header = list(dict.fromkeys(column for row in rows for column in row))
    return [header] + [[row.get(column, "") for column in header] for row in rows]


def book(survey, choices=None, settings=None, entities=None, external=None, others=None):
    sheets = {"survey": sheet(survey)}
    if choices is not None:
        sheets["choices"] = choices if choices and isinstance(choices[0], list) else sheet(choices)
    for name, rows in (("settings", settings), ("entities", entities), ("external_choices", external)):
        if rows is not None:
            sheets[name] = sheet(rows)
    sheets.update(others or {})
    return sheets


def row(kind, name, label="L", **columns):
    found = {"type": kind, "name": name, "label": label}
    found.update({column.replace("__", "::"): value for column, value in columns.items()})
    return {column: value for column, value in found.items() if value is not None}


FIRST = row("text", "first", "First")


def choices_for(kind):
    return LIST if any(word in kind for word in ("select", "rank", "q ")) else None
