"""Small workbooks made systematically: every type, column, alias, setting and parameter, and the mistakes that authors make.

`cases(seed, bent)` gives pairs of a name and sheets; a sheet is a list of rows, the header first. The same seed gives the same workbooks.
"""

import itertools

import words
from bent import bent
from tables import FIRST, LIST, book, choices_for, row, sheet


def types():
    for kind in words.TYPES + words.TYPES_WRONG:
        yield f"type {kind}", book([FIRST, row(kind, "a")], choices_for(kind))
        yield f"type without label {kind}", book([FIRST, row(kind, "a", None)], choices_for(kind))
        yield f"type without name {kind}", book([FIRST, {"type": kind, "label": "L"}], choices_for(kind))
        yield (
            f"type in a repeat {kind}",
            book([row("begin repeat", "r"), FIRST, row(kind, "a"), {"type": "end repeat"}], choices_for(kind)),
        )


def columns():
    """Each type with each column that it may have."""
    for kind, (column, value) in itertools.product(words.TYPES_MAIN, words.COLUMNS):
        inside = row(kind, "a")
        inside[column] = value
        rows = [FIRST, inside]
        if kind.startswith("begin"):
            rows += [row("text", "within"), {"type": kind.replace("begin", "end")}]
        yield f"{kind} with {column}={value}", book(rows, choices_for(kind) or (LIST if "${" in value else None))


def headers():
    """Spellings of column headers, each beside a plain question."""
    for header, value in words.HEADERS:
        question = {"type": "select_one yn", "name": "a", "label": "L", header: value}
        yield f"header {header}={value}", book([FIRST, question], LIST)
        yield f"only header {header}", book([{"type": "text", "name": "a", header: value}])
    for kind, name, label in itertools.product(
        ("type", "Type", "TYPE", "command", "typ"), ("name", "Name", "tag", "value", "nmae"), ("label", "Label", "caption", "lable")
    ):
        yield f"headers {kind} {name} {label}", book([{kind: "text", name: "a", label: "L"}])
    for one, other in itertools.combinations(words.SAME_COLUMNS, 2):
        if one[1] == other[1]:
            yield (
                f"both {one[0]} and {other[0]}",
                book([FIRST, {"type": "text", "name": "a", "label": "L", one[0]: "yes", other[0]: "no"}]),
            )


def settings():
    for name, value in words.SETTINGS:
        yield f"setting {name}={value}", book([FIRST, row("select_one yn", "a")], LIST, [{name: value}])
    for (one, first), (other, second) in itertools.combinations(words.SETTINGS_PAIRED, 2):
        if one != other:
            yield f"settings {one}={first} {other}={second}", book([FIRST], None, [{one: first, other: second}])
    doubled = LIST + [["yn", "y", "Again"]]
    for value in ("yes", "no", "TRUE", "maybe"):
        yield f"duplicates allowed: {value}", book([row("select_one yn", "a")], doubled, [{"allow_choice_duplicates": value}])
    multiple = row("select_multiple yn", "a")
    for value in ("yes", "true", "no"):
        yield f"add_none_option {value}", book([multiple, row("select_one yn", "b")], LIST, [{"add_none_option": value}])
    yield "settings in the survey", book([{"type": "form_title", "name": "A title"}, FIRST])
    yield "settings with two rows", {"survey": sheet([FIRST]), "settings": [["form_id"], ["one"], ["two"]]}
    yield "settings with no row", {"survey": sheet([FIRST]), "settings": [["form_id"]]}


def parameters():
    for kind in (
        "range",
        "image",
        "audio",
        "video",
        "file",
        "text",
        "integer",
        "note",
        "geopoint",
        "geotrace",
        "geoshape",
        "select_one yn",
        "select_multiple yn",
        "rank yn",
        "select_one_from_file a.csv",
        "select_one_from_file a.geojson",
        "audit",
        "background-audio",
        "start-geopoint",
        "begin group",
    ):
        for value in words.PARAMETERS:
            question = row(kind, "" if kind == "audit" else "a", parameters=value)
            if kind == "audit":
                del question["name"]
            rows = [FIRST, question]
            if kind == "begin group":
                rows += [row("text", "within"), {"type": "end group"}]
            yield f"{kind} with parameters {value}", book(rows, LIST)
    ticks = [["list_name", "name", "label"], ["t", "1", "One"], ["t", "5", "Five"], ["t", "10", "Ten"], ["u", "1", "a"], ["u", "10", "b"]]
    for appearance, value in itertools.product(("", "vertical", "no-ticks", "picker", "rating"), words.RANGES):
        yield f"range {appearance} {value}", book([row("range", "a", parameters=value, appearance=appearance)], ticks)


def choices():
    ask = [row("select_one yn", "a"), row("select_multiple yn", "b")]
    for name in ("y", "y y", "1", "yes-no", "é", "بله", "a/b", "a'b", "<b>", "&", "${a}", "-1", "1.5", " y "):
        yield f"choice name {name}", book(ask, [["list_name", "name", "label"], ["yn", name, "Yes"], ["yn", "n", "No"]])
        yield f"choice name in a select_one {name}", book(ask[:1], [["list_name", "name", "label"], ["yn", name, "Yes"]])
    for list_name in ("yn", "y n", "yn.csv", "é", "1", "a-b", "بله"):
        yield (f"list {list_name}", book([row(f"select_one {list_name}", "a")], [["list_name", "name", "label"], [list_name, "y", "Yes"]]))
    for header in words.CHOICE_HEADERS:
        yield (
            f"choice column {header}",
            book(ask[:1], [["list_name", "name", "label", header], ["yn", "y", "Yes", "x"], ["yn", "n", "No", "z"]]),
        )
        yield (
            f"filtered by {header}",
            book(
                [FIRST, row("select_one yn", "a", choice_filter=f"{header} = ${{first}}")],
                [["list_name", "name", "label", header], ["yn", "y", "Yes", "x"], ["yn", "n", "No", "z"]],
            ),
        )
    for header in (
        ["list name", "name", "label"],
        ["List_Name", "Name", "Label"],
        ["listname", "name", "label"],
        ["list", "name", "label"],
        ["list_name", "value", "label"],
        ["list_name", "value", "caption"],
        ["list_name", "name"],
        ["name", "label"],
        ["list_name", "label"],
        ["list_name", "name", "lable"],
        ["list_name", "name", "label", "label"],
        ["list_name", "name", "value", "label"],
        ["list_name", "name", "", "label"],
    ):
        yield f"choice headers {header}", book(ask[:1], [header, ["yn", "y", "Yes", "x"], ["yn", "n", "No", "z"]])
    for rows in (
        [["yn", "", "Yes"]],
        [["yn", "y", ""]],
        [["", "y", "Yes"]],
        [["yn", "y", "Yes"], ["yn", "y", "No"]],
        [],
        [["", "", "note"]],
        [["yn", "y", "Yes"], ["", "", ""], ["yn", "n", "No"]],
        [["yn", "y", "Hi ${first}"]],
        [["yn", "y", "Hi ${nobody}"]],
        [["yn", "y", "a\nb"]],
        [["yn", "y", "a  b"]],
        [["yn", "y", "<b>a</b> & c"]],
    ):
        yield f"choice rows {rows}", book([FIRST, row("select_one yn", "a")], [["list_name", "name", "label"], *rows])
    yield "choices sheet is absent", book(ask)
    yield "choices sheet is misspelt", book(ask, others={"choice": LIST})
    yield "unused list", book([FIRST], LIST)
    for kind in (
        "select_one nolist",
        "select_one yn or_other",
        "select_multiple yn or_other",
        "rank yn or_other",
        "select_one color or other",
        "select_one yn color",
        "select_one",
        "select_multiple",
        "rank",
        "select_one ${first}",
        "select_one yn.csv",
        "select one yn",
        "select_one_from_file a.csv or_other",
    ):
        for extra in ({}, {"choice_filter": "name != 'y'"}, {"label::fa": "پ"}):
            yield f"select {kind} {extra}", book([FIRST, {**row(kind, "a"), **extra}], LIST)
    other = LIST + [["yn", "other", "Something else"]]
    yield "or_other with its own other", book([row("select_one yn or_other", "a")], other)
    medium = [
        ["list_name", "name", "label::en", "label::fa", "media::image::en", "audio"],
        ["yn", "y", "Yes", "بله", "y.png", "y.mp3"],
        ["yn", "n", "No", "نه", "", ""],
    ]
    yield "choices with media by language", book([row("select_one yn", "a")], medium)
    yield "or_other translated", book([row("select_one yn or_other", "a")], medium)
    for extension, parameters_of in itertools.product(
        ("csv", "xml", "geojson", "txt", "CSV", "a.csv"), ("", "value=id label=title", "value=a-b", "label=a b", "value=1x")
    ):
        yield f"file {extension} {parameters_of}", book([row(f"select_one_from_file a.{extension}", "a", parameters=parameters_of)])
    for filtered in ("name = ${first}", "x > 1", "true()", "name=", "(${first})", "${first} = name or x = 'a'", "selected(${first}, name)"):
        for kind in ("select_one yn", "select_multiple yn", "rank yn", "select_one_from_file a.csv", "select_one_from_file a.xml", "text"):
            yield f"{kind} filtered {filtered}", book([FIRST, row(kind, "a", choice_filter=filtered)], LIST)
    for random_order in (
        "randomize=true",
        "randomize=true seed=42",
        "randomize=true, seed=${first}",
        "randomize=false",
        "seed=3",
        "randomize=yes",
    ):
        for kind in ("select_one yn", "select_multiple yn", "rank yn", "select_one_from_file a.csv"):
            for filtered in ("", "name != ${first}"):
                yield (
                    f"{kind} {random_order} {filtered}",
                    book([FIRST, row(kind, "a", parameters=random_order, choice_filter=filtered)], LIST),
                )
    external = [{"list_name": "towns", "name": "a", "label": "A", "area": "x"}]
    for kind, filtered in itertools.product(
        ("select_one_external towns", "select_one_external nolist"), ("", "area = ${first}", "area=${first} and x='1'", "area > ${first}")
    ):
        yield f"{kind} {filtered}", book([FIRST, row(kind, "a", choice_filter=filtered)], external=external)
    yield "external choices without a sheet", book([FIRST, row("select_one_external towns", "a", choice_filter="area=${first}")])
    for appearance in words.SEARCHES:
        named = [["list_name", "name", "label"], ["s", "key", "title"], ["s", "1", "One"]]
        yield f"search {appearance}", book([FIRST, row("select_one s", "a", appearance=appearance)], named)
        yield (
            f"search in a repeat {appearance}",
            book([row("begin repeat", "r"), FIRST, row("select_multiple s", "a", appearance=appearance), {"type": "end repeat"}], named),
        )


def languages():
    two = {"label::English (en)": "E", "label::فارسی (fa)": "پ"}
    base = {"type": "text", "name": "a"}
    for extra in words.TRANSLATED:
        yield f"translated {extra}", book([{**base, **two, **extra}])
        yield f"plain and {extra}", book([{**base, "label": "L", **extra}])
        for default in ("English (en)", "فارسی (fa)", "en", "other"):
            yield (
                f"default language {default} {extra}",
                book([{**base, "label": "L", **two, **extra}], None, [{"default_language": default}]),
            )
    for first, second in (
        ("en", "fa"),
        ("English", "French"),
        ("English (en)", "Dari (prs)"),
        ("English (zz)", "x"),
        ("en-US", "English(en)"),
    ):
        yield f"languages {first} {second}", book([{**base, f"label::{first}": "a", f"hint::{second}": "b"}])
    for header in (
        ["list_name", "name", "label::English (en)"],
        ["list_name", "name", "label::fa"],
        ["list_name", "name", "label"],
        ["list_name", "name", "label", "label::fa"],
    ):
        yield (
            f"choices in {header[2:]}",
            book([{"type": "select_one yn", "name": "a", **two}], [header, ["yn", "y", "Yes", "x"], ["yn", "n", "No", ""]]),
        )
        yield (
            f"choices in {header[2:]}, plain survey",
            book([row("select_one yn", "a")], [header, ["yn", "y", "Yes", "x"], ["yn", "n", "No", ""]]),
        )
    yield ("a language without words in one row", book([{**base, **two}, {"type": "text", "name": "b", "label::English (en)": "only"}]))
    yield (
        "hint in one language",
        book([{**base, **two, "hint::English (en)": "h"}, {"type": "text", "name": "b", "label::English (en)": "only"}]),
    )
    for kind in ("begin group", "begin repeat"):
        yield (f"{kind} translated", book([{"type": kind, "name": "g", **two}, {**base, **two}, {"type": kind.replace("begin", "end")}]))
    for message in ("constraint_message", "required_message"):
        yield (
            f"{message} translated",
            book(
                [
                    {
                        **base,
                        **two,
                        "constraint": ". != ''",
                        "required": "yes",
                        f"{message}::English (en)": "m",
                        f"{message}::فارسی (fa)": "پ",
                    }
                ]
            ),
        )
        yield f"{message} plain", book([{**base, **two, "constraint": ". != ''", "required": "yes", message: "m ${a}"}])
    for output in (
        "Hi ${first}",
        "${first}",
        "a ${first} b ${first} c",
        "<b>${first}</b>",
        "# ${first}",
        "${first} & <i>x",
        "\\n${first}",
        "${ first }",
        "$ {first}",
        "instance('yn')/root/item[name=${first}]/label",
    ):
        for column in ("label", "hint", "constraint_message", "required_message", "guidance_hint", "label::fa", "default"):
            yield (
                f"output in {column}: {output}",
                book(
                    [FIRST, {"type": "text", "name": "a", "label": "L", "constraint": ". != 'x'", "required": "yes", column: output}], LIST
                ),
            )


STEPS = (["begin group", "g"], ["begin repeat", "r"], ["end group", ""], ["end repeat", ""], ["text", "q"])


def structure():
    """Groups and repeats in every order, whether or not that is right."""
    for length in (1, 2, 3):
        for steps in itertools.product(STEPS, repeat=length):
            rows = [row(kind, name and f"{name}{number}", name and "L") for number, (kind, name) in enumerate(steps)]
            yield f"structure {[kind for kind, _ in steps]}", book(rows)
    for kind in words.CONTAINERS:
        yield f"container {kind}", book([row(kind, "g"), FIRST, {"type": kind.replace("begin", "end")}], LIST)
        yield (f"container {kind} with its list", book([row(f"{kind} over yn", "g"), FIRST, {"type": kind.replace("begin", "end")}], LIST))
    for outer, inner in itertools.product(("group", "repeat"), repeat=2):
        for extra in (
            {},
            {"relevant": "${first} = 'a'"},
            {"appearance": "field-list"},
            {"repeat_count": "${first}"},
            {"repeat_count": "2"},
        ):
            rows = [
                FIRST,
                row(f"begin {outer}", "o"),
                {**row(f"begin {inner}", "i"), **extra},
                row("text", "deep", calculation="${first}"),
                {"type": f"end {inner}"},
                row("calculate", "c", None, calculation="count(${deep})"),
                {"type": f"end {outer}"},
                row("note", "n", "${deep}"),
            ]
            yield f"{inner} in {outer} {extra}", book(rows)
    for count in words.COUNTS:
        yield (
            f"repeat count {count}",
            book([FIRST, row("begin repeat", "r", repeat_count=count), row("text", "q"), {"type": "end repeat"}]),
        )
        yield (
            f"repeat count in a group {count}",
            book(
                [
                    row("begin group", "g"),
                    FIRST,
                    row("begin repeat", "r", repeat_count=count),
                    row("text", "q"),
                    {"type": "end repeat"},
                    {"type": "end group"},
                ]
            ),
        )
    yield (
        "repeat count whose name is taken",
        book([FIRST, row("text", "r_count"), row("begin repeat", "r", repeat_count="1 + 1"), row("text", "q"), {"type": "end repeat"}]),
    )
    for first, second in itertools.product(("begin group", "begin repeat", "text"), repeat=2):
        for name in ("a", "A"):
            rows = []
            for kind, called in ((first, "a"), (second, name)):
                rows.append(row(kind, called))
                if kind != "text":
                    rows += [row("text", "within"), {"type": kind.replace("begin", "end")}]
            yield f"{first} a and {second} {name}", book(rows)
    for appearance in ("table-list", "table-list minimal", "field-list", "w3"):
        for kinds in (
            ["select_one yn", "select_one yn"],
            ["select_one yn", "select_one color"],
            ["select_multiple yn"],
            ["text"],
            ["note", "select_one yn"],
            ["select_one yn or_other"],
            ["select_one_from_file a.csv"],
        ):
            rows = [row("begin group", "g", appearance=appearance, hint="h")] + [
                row(kind, f"q{number}") for number, kind in enumerate(kinds)
            ]
            yield f"{appearance} {kinds}", book([*rows, {"type": "end group"}], LIST)


def names():
    for name in words.NAMES:
        yield f"question {name}", book([FIRST, row("text", name)])
        yield f"group {name}", book([row("begin group", name), FIRST, {"type": "end group"}])
        yield f"repeat {name}", book([row("begin repeat", name), FIRST, {"type": "end repeat"}])
        yield f"root {name}", book([FIRST], None, [{"name": name}])
        yield f"reference to {name}", book([row("text", name), row("note", "n", f"${{{name}}}")])
        yield f"entity list {name}", book([FIRST], entities=[{"list_name": name, "label": "${first}"}])
        yield (f"property {name}", book([row("text", "first", save_to=name)], entities=[{"list_name": "people", "label": "${first}"}]))


def expressions():
    for column, text in itertools.product(words.EXPRESSION_COLUMNS, words.EXPRESSIONS):
        question = {"type": "text", "name": "a", "label": "L", column: text}
        yield f"{column}: {text}", book([FIRST, row("integer", "num"), question], LIST)
        if "${" in text:
            rows = [
                FIRST,
                row("begin repeat", "r"),
                row("integer", "num"),
                row("begin group", "g"),
                question,
                {"type": "end group"},
                {"type": "end repeat"},
            ]
            yield f"{column} in a repeat: {text}", book(rows, LIST)
    for text in words.EXPRESSIONS:
        if "${" in text:
            rows = [
                FIRST,
                row("integer", "num"),
                row("begin repeat", "r"),
                row("text", "item"),
                {"type": "end repeat"},
                row("select_one yn", "a", choice_filter=text),
            ]
            yield f"choice filter {text}", book(rows, LIST)
            rows[1], rows[4] = row("text", "spare"), row("select_one yn", "a", choice_filter=text)
            yield (
                f"choice filter in a repeat {text}",
                book(
                    [
                        FIRST,
                        row("begin repeat", "r"),
                        row("integer", "num"),
                        row("select_one yn", "a", choice_filter=text),
                        {"type": "end repeat"},
                    ],
                    LIST,
                ),
            )
            yield f"instance name {text}", book([FIRST, row("integer", "num")], LIST, [{"instance_name": text}])
    for kind, default in itertools.product(words.TYPES_MAIN, words.DEFAULTS):
        if not kind.startswith("begin"):
            yield f"{kind} default {default}", book([FIRST, row(kind, "a", default=default)], choices_for(kind))
    for kind, trigger, calculation in itertools.product(
        ("text", "calculate", "integer", "note", "select_one yn", "background-geopoint", "hidden", "begin group"),
        ("${first}", "first", "${first}, ${num}", "${nobody}", "${first} ${num}", "${a}", "${g}"),
        ("", "1 + 1", "${num}"),
    ):
        rows = [
            FIRST,
            row("integer", "num"),
            row("begin group", "g"),
            row("text", "within"),
            {"type": "end group"},
            row(kind, "a", trigger=trigger, calculation=calculation),
        ]
        if kind == "begin group":
            rows += [row("text", "again"), {"type": "end group"}]
        yield f"{kind} triggered by {trigger} {calculation}", book(rows, LIST)
        yield (
            f"{kind} in a repeat triggered by {trigger} {calculation}",
            book([row("begin repeat", "r"), *rows, {"type": "end repeat"}], LIST),
        )


def entities():
    for label, entity_id, create_if, update_if, save_to in itertools.product(
        ("", "${first}"), ("", "${first}"), ("", "true()"), ("", "${first} != ''"), ("", "prop", "people#prop")
    ):
        sheet_row = {"list_name": "people", "label": label, "entity_id": entity_id, "create_if": create_if, "update_if": update_if}
        asked = row("text", "first", save_to=save_to)
        yield f"entity {sheet_row} {save_to}", book([asked], entities=[sheet_row])
        yield (
            f"entity in a repeat {sheet_row} {save_to}",
            book(
                [row("begin repeat", "r"), asked, {"type": "end repeat"}],
                entities=[{key: value for key, value in sheet_row.items() if value}],
            ),
        )
    for header in words.ENTITY_HEADERS:
        yield f"entity column {header}", book([FIRST], entities=[{"list_name": "people", "label": "${first}", header: "x"}])
    for list_name in ("list_name", "dataset", "List Name", "list name", "name", ""):
        yield f"entity header {list_name}", book([FIRST], entities=[{list_name: "people", "label": "'x'"}])
    scopes = {
        "outside": [],
        "group": ["begin group"],
        "repeat": ["begin repeat"],
        "group in repeat": ["begin repeat", "begin group"],
        "repeat in group": ["begin group", "begin repeat"],
        "repeat in repeat": ["begin repeat", "begin repeat"],
    }
    for (one, first), (other, second) in itertools.product(scopes.items(), repeat=2):
        rows = []
        for around, name in ((first, "p"), (second, "h")):
            rows += [row(kind, f"{name}{number}") for number, kind in enumerate(around)]
            rows.append(row("text", f"{name}q", save_to=f"{name}list#prop"))
            rows += [{"type": kind.replace("begin", "end")} for kind in reversed(around)]
        yield (
            f"two entities {one} and {other}",
            book(rows, entities=[{"list_name": "plist", "label": "${pq}"}, {"list_name": "hlist", "label": "${hq}"}]),
        )
        yield (
            f"an entity {one}, its label {other}",
            book(
                rows[: len(first) * 2 + 1] + rows[len(first) * 2 + 1 :],
                entities=[{"list_name": "plist", "label": "concat(${pq}, ${hq})"}, {"list_name": "hlist", "label": "'x'"}],
            ),
        )
        for entry in rows:
            entry.pop("save_to", None)
        rows[len(first)]["save_to"] = "prop"
        yield (
            f"one entity {one}, its label {other}",
            book([dict(entry) for entry in rows], entities=[{"list_name": "people", "label": "${hq}"}]),
        )
    for save_to in ("prop", "a#b#c", "#prop", "people#", "nobody#prop", "name", "label", "Name", "__x", "a b", "a.b", "é", "1a"):
        for count in (1, 2):
            yield (
                f"save_to {save_to} with {count} lists",
                book(
                    [row("text", "first", save_to=save_to)],
                    entities=[{"list_name": name, "label": "${first}"} for name in ("people", "homes")[:count]],
                ),
            )
        yield f"save_to {save_to} without a sheet", book([row("text", "first", save_to=save_to)])
    for kind in ("begin group", "begin repeat"):
        yield (
            f"save_to at {kind}",
            book(
                [row(kind, "g", save_to="x"), FIRST, {"type": kind.replace("begin", "end")}],
                entities=[{"list_name": "people", "label": "${first}"}],
            ),
        )
    yield (
        "save_to twice",
        book([row("text", "first", save_to="x"), row("text", "b", save_to="x")], entities=[{"list_name": "people", "label": "${first}"}]),
    )
    yield "a list twice", book([FIRST], entities=[{"list_name": "people", "label": "${first}"}] * 2)
    yield "an entities sheet without rows", {"survey": sheet([FIRST]), "entities": [["list_name", "label"]]}
    yield "entities sheet misspelt", book([FIRST], others={"entity": [["list_name"], ["x"]]})
    for kind in words.TYPES_MAIN:
        if not kind.startswith("begin"):
            yield (
                f"save_to of {kind}",
                book([FIRST, row(kind, "a", save_to="x")], choices_for(kind), entities=[{"list_name": "people", "label": "${first}"}]),
            )


def sheets():
    for name in ("Survey", "SURVEY", "survey ", "surveys", "sruvey", "form", "_survey"):
        yield f"sheet {name}", {name: sheet([FIRST]), "choices": LIST}
        yield f"only sheet {name}", {name: sheet([FIRST])}
    for name in ("Choices", "choice", "chioces", "_choices", "Settings", "setting", "entites", "notes", "external_choice", "Entities"):
        yield f"second sheet {name}", {"survey": sheet([FIRST]), name: [["list_name", "name", "label"], ["yn", "y", "Yes"]]}
        yield (
            f"second sheet {name} is needed",
            {"survey": sheet([row("select_one yn", "a")]), name: [["list_name", "name", "label"], ["yn", "y", "Yes"]]},
        )
    for rows in (
        [[]],
        [["type", "name", "label"]],
        [["", "", ""], ["type", "name", "label"], ["text", "a", "L"]],
        [["type", "name", "label"], ["", "", ""], ["text", "a", "L"]],
        [["type", "name", "label"], ["", "a", "L"]],
        [["type", "name", "label"], ["", "", "L"]],
        [["type", "name", "label", "notes"], ["", "", "", "x"], ["text", "a", "L"]],
        [["type", "name", "label"], *[["", "", ""]] * 70, ["text", "a", "L"]],
        [["type", "name", "label", "label"], ["text", "a", "L", "M"]],
        [["type", "name", "", "label"], ["text", "a", "x", "L"]],
        [["name", "label"], ["a", "L"]],
        [["type", "label"], ["text", "L"]],
        [["type", "name"], ["text", "a"]],
        [["My form"], ["type", "name", "label"], ["text", "a", "L"]],
    ):
        yield f"survey rows {rows[:4]}", {"survey": rows}
    for disabled in ("yes", "no", "true", "x"):
        yield f"disabled {disabled}", book([FIRST, row("text", "a", disabled=disabled)])
    for kind in ("audit", "background-audio", "start-geopoint", "start", "end", "today", "deviceid", "csv-external", "xml-external"):
        for name in (None, "audit", "a", "a.csv"):
            question = {"type": kind, "name": name} if name else {"type": kind}
            yield f"{kind} called {name}", book([FIRST, question])
            yield f"{kind} twice called {name}", book([FIRST, question, question])


def cases(seed, count):
    families = (types, columns, headers, settings, parameters, choices, languages, structure, names, expressions, entities, sheets)
    for family in families:
        for name, made in family():
            yield f"{family.__name__}: {name}", made
    yield from bent(seed, count)
