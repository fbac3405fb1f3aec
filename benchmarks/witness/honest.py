"""Long honest pages made by code that repeat much and are no loops: tables, lists, forms, Chinese."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

NAMES = (
    "Anna Berger", "Wei Zhang", "John Smith", "Maria Garcia", "Lukas Novak", "Olga Petrova", "Kofi Mensah",
    "Yuki Tanaka", "Emma Jones", "Ali Hassan", "Ingrid Larsen", "Paulo Costa", "Chloe Martin", "Ivan Horvat",
)  # fmt: skip
GOODS = (
    "Hex bolt M8", "Washer", "Pipe clamp", "Gasket", "Ball valve", "Cable tie", "Copper wire", "Hinge",
    "Bracket", "Filter", "Hose", "Nozzle", "Spring", "Bearing", "Seal ring", "Coupling",
    "Elbow 90", "Reducer", "Flange",
)  # fmt: skip
CHINESE = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说"
    "产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使"
    "点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明"
    "看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料"
    "象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指"
    "几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七海口东导器压志世金增争济阶"
    "油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议"
    "声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影"
    "算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何"
    "除消构府称太准精值号率族维划选标写存"
)


def pages(count: int = 200, seed: int = 1) -> Iterator[tuple[str, str]]:
    """Kinds and texts: every kind in turn, each page another."""
    makers = [
        *(
            price_list,
            bank_statement,
            empty_form,
            contents,
            index,
            checklist,
            zeros,
            timetable,
            ledger,
            chinese,
        ),
        *(
            addresses,
            comma_list,
            lined_paper,
            matrix,
            receipts,
            glossary,
            reserved,
            references,
            weights,
            poem,
        ),
    ]
    for number in range(count):
        make: Callable[[random.Random], str] = makers[number % len(makers)]
        yield make.__name__, make(random.Random(seed * 100_003 + number))


def _table(rows: list[list[str]], form: str) -> str:
    if form == "pipes":
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
    if form == "html":
        return (
            "<table>"
            + "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
            + "</table>"
        )
    return "\n".join("  ".join(row) for row in rows)


def _form(rng: random.Random) -> str:
    return rng.choice(["pipes", "html", "text"])


def _price(rng: random.Random) -> str:
    return f"{rng.choice([9, 19, 49, 99, 4])}.{rng.choice([99, 95, 50, 0]):02d}"


def price_list(rng: random.Random) -> str:
    rows = [[rng.choice(GOODS), rng.choice(["pc", "m"]), _price(rng)] for _ in range(rng.randint(100, 250))]
    return "Price list\n\n" + _table([["Item", "Unit", "Price"], *rows], _form(rng))


def bank_statement(rng: random.Random) -> str:
    """Many rows are the same to the letter."""
    kinds = [
        ["02.05.2024", "SEPA direct debit city works", "-45.00"],
        ["02.05.2024", "Card payment bakery", "-3.20"],
    ]
    rows: list[list[str]] = []
    while len(rows) < rng.randint(60, 120):
        rows += [rng.choice(kinds)] * rng.randint(1, 8)
        rows.append([f"{rng.randint(1, 28):02d}.05.2024", "Transfer " + rng.choice(NAMES), f"-{_price(rng)}"])
    return "Statement of account\n\n" + _table([["Date", "Text", "Amount"], *rows], _form(rng))


def empty_form(rng: random.Random) -> str:
    columns = rng.randint(3, 8)
    rows = [
        ["Name", "Date", "Place", "Amount", "Note", "Sign", "No", "By"][:columns],
        *[[""] * columns] * rng.randint(30, 70),
    ]
    return "Attendance list\n\n" + _table(rows, rng.choice(["pipes", "html"]))


def contents(rng: random.Random) -> str:
    lines = [
        f"{n}. {rng.choice(GOODS)} {'.' * rng.randint(40, 150)} {n * 3}"
        for n in range(1, rng.randint(60, 120))
    ]
    return "Contents\n\n" + "\n".join(lines)


def index(rng: random.Random) -> str:
    lines = []
    for name in sorted(f"{rng.choice(GOODS)}, {rng.choice(GOODS).lower()}" for _ in range(150)):
        lines.append(
            f"{name}, " + ", ".join(str(p) for p in sorted(rng.sample(range(1, 600), rng.randint(1, 9))))
        )
    return "\n".join(lines)


def checklist(rng: random.Random) -> str:
    return "\n".join(
        f"- [{rng.choice(' x')}] {rng.choice(['Yes', 'No', 'Not applicable'])}" for _ in range(120)
    )


def zeros(rng: random.Random) -> str:
    """Rows of noughts: what a balance sheet of an idle company looks like."""
    rows = [["0.00"] * 8 for _ in range(rng.randint(20, 45))]
    rows[rng.randrange(len(rows))][3] = "12.50"
    return _table([["Q" + str(n) for n in range(1, 9)], *rows], rng.choice(["pipes", "html"]))


def timetable(rng: random.Random) -> str:
    rows = [[f"{h:02d}:{m:02d}" for m in range(rng.randint(0, 9), 60, 10)][:6] for h in range(4, 24)]
    return "Line 7\n\n" + _table(rows, _form(rng))


def ledger(rng: random.Random) -> str:
    total, rows = 10_000, []
    for n in range(rng.randint(80, 160)):
        total -= (step := rng.choice([45, 45, 45, 120]))
        rows.append([f"{n % 28 + 1:02d}.06.", "Instalment loan contract 4711", f"{step}.00", f"{total}.00"])
    return _table(rows, _form(rng))


def chinese(rng: random.Random) -> str:
    """No space, few marks, and long paragraphs."""
    letters = [rng.choice(CHINESE) for _ in range(1800)]
    for place in range(40, 1800, rng.randint(30, 60)):
        letters[place] = rng.choice("，，、。")
    return "".join(letters)


def addresses(rng: random.Random) -> str:
    return "\n\n".join(
        f"{rng.choice(NAMES)}\nMain Street {rng.randint(1, 99)}\n12345 Springfield" for _ in range(60)
    )


def comma_list(rng: random.Random) -> str:
    return "Present: " + ", ".join(f"{rng.choice(NAMES)} ({rng.choice(GOODS)})" for _ in range(160)) + "."


def lined_paper(rng: random.Random) -> str:
    lines = rng.randint(20, 40)
    return "Notes:\n\n" + "\n\n".join(["_" * rng.choice([60, 80])] * lines)


def matrix(rng: random.Random) -> str:
    size = rng.randint(12, 20)
    return _table([[rng.choice("01") for _ in range(size)] for _ in range(40)], _form(rng))


def receipts(rng: random.Random) -> str:
    lines = []
    for _ in range(100):
        lines += [f"{rng.choice(['Coffee', 'Coffee', 'Coffee', 'Bun'])}    1 x 2.50    2.50 A"]
    return "\n".join([*lines, "TOTAL 250.00"])


def glossary(rng: random.Random) -> str:
    return "\n\n".join(
        f"**{name}**: see {rng.choice(GOODS)}. Of the same make as above." for name in GOODS * 3
    )


def reserved(rng: random.Random) -> str:
    """Rows with the same word in nearly every cell."""
    rows = [[f"0x{n:04X}", "Reserved", "Read only", "0"] for n in range(0, 400, 4)]
    rows[rng.randrange(100)][1] = "Status"
    return _table([["Address", "Register", "Access", "Reset"], *rows], _form(rng))


def references(rng: random.Random) -> str:
    return "\n".join(
        f"[{n}] {rng.choice(NAMES)}, {rng.choice(NAMES)}. Proceedings of the conference on "
        f"{rng.choice(GOODS).lower()}, pp. {n}-{n + 9}, {rng.randint(1990, 2024)}."
        for n in range(1, 60)
    )


def weights(rng: random.Random) -> str:
    """A table of many figures, a row a line."""
    return "\n".join(" ".join(f"{rng.random():.3f}" for _ in range(10)) for _ in range(60))


def poem(rng: random.Random) -> str:
    """With a refrain."""
    refrain = "And so say all of us,\nand so say all of us!"
    return "\n\n".join(
        f"For {rng.choice(NAMES)} and {rng.choice(NAMES)},\nthe {rng.choice(GOODS)} and all,\n{refrain}"
        for _ in range(20)
    )
