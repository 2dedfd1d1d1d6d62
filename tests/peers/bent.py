"""A form that uses much, changed at random: what authors' slips and half-finished edits look like."""

import random

from tables import book


def rich():
    """A form that uses much, to be bent."""
    return book(
        [
            {"type": "start", "name": "start"},
            {
                "type": "select_one yn",
                "name": "consent",
                "label::English (en)": "Consent?",
                "label::فارسی (fa)": "رضایت؟",
                "required": "yes",
                "required_message::English (en)": "Needed",
            },
            {
                "type": "begin group",
                "name": "house",
                "label::English (en)": "House",
                "label::فارسی (fa)": "خانه",
                "relevant": "${consent} = 'y'",
                "appearance": "field-list",
            },
            {
                "type": "integer",
                "name": "size",
                "label::English (en)": "Size",
                "label::فارسی (fa)": "اندازه",
                "constraint": ". > 0 and . < 30",
                "constraint_message::English (en)": "1 to 29",
                "default": "1",
            },
            {"type": "end group"},
            {
                "type": "begin repeat",
                "name": "member",
                "label::English (en)": "Member",
                "label::فارسی (fa)": "عضو",
                "repeat_count": "${size}",
            },
            {"type": "text", "name": "m_name", "label::English (en)": "Name", "label::فارسی (fa)": "نام", "save_to": "full_name"},
            {
                "type": "select_multiple color",
                "name": "colors",
                "label::English (en)": "Which, ${m_name}?",
                "label::فارسی (fa)": "کدام؟",
                "choice_filter": "name != ${m_name}",
            },
            {"type": "calculate", "name": "m_no", "calculation": "position(..)"},
            {"type": "end repeat"},
            {"type": "calculate", "name": "total", "calculation": "count(${m_name}) + ${size}"},
            {"type": "note", "name": "thanks", "label::English (en)": "Thanks ${total}", "label::فارسی (fa)": "سپاس"},
        ],
        [
            ["list_name", "name", "label::English (en)", "label::فارسی (fa)"],
            ["yn", "y", "Yes", "بله"],
            ["yn", "n", "No", "نه"],
            ["color", "r", "Red", "سرخ"],
            ["color", "g", "Green", "سبز"],
        ],
        [{"form_id": "rich", "version": "3", "default_language": "English (en)", "instance_name": "concat(${size}, '!')"}],
        [{"list_name": "people", "label": "${m_name}"}],
    )


def bent(seed, count):
    """The rich form with one to three random changes of one cell, row or column each."""
    chance = random.Random(seed)
    for number in range(count):
        sheets_now = {name: [list(cells) for cells in rows] for name, rows in rich().items()}
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            rows = sheets_now[chance.choice(["survey"] * 6 + ["choices"] * 2 + ["settings", "entities"])]
            at, column = chance.randrange(len(rows)), chance.randrange(len(rows[0]))
            cell = rows[at][column] if column < len(rows[at]) else ""
            match chance.randrange(9):
                case 0:
                    rows[at][column] = ""
                case 1 if cell:
                    letter = chance.randrange(len(cell))
                    rows[at][column] = cell[:letter] + cell[letter + 1 :]
                case 2 if cell:
                    letter = chance.randrange(len(cell))
                    rows[at][column] = cell[:letter] + chance.choice("${}()'\" =/.-_aA9\n") + cell[letter:]
                case 3 if len(rows) > 2:
                    del rows[at]
                case 4:
                    rows.insert(at, list(rows[chance.randrange(len(rows))]))
                case 5:
                    other = chance.randrange(len(rows))
                    rows[at], rows[other] = rows[other], rows[at]
                case 6:
                    rows[at][column] = chance.choice([value for row_ in rows for value in row_ if value] or [""])
                case 7:
                    rows[at][column] = cell.upper() if chance.random() < 0.5 else cell.capitalize()
                case _:
                    for cells in rows:
                        del cells[column]
        yield f"bent {seed}/{number}", sheets_now
