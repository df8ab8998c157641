"""The table of mutants: reading it, checking it against the sources, writing instrumented copies.

tests/mutation/README.md describes the format. Nothing here builds or runs anything.
"""

import dataclasses
import pathlib
import re

FIELDS = ("rule", "source", "file", "within", "original", "broken", "killed by", "equivalent")
REQUIRED = ("rule", "file", "original", "broken")
HEADING = re.compile(r"## (.+)")
NAME = re.compile(r"\[(\w+)\]")
FIELD = re.compile(r"(" + "|".join(FIELDS) + r"):(?: (.*))?")
# A statement ends with a semicolon, or is a block or what governs one; all else is an expression.
STATEMENT = re.compile(r".*;|(?:\{|(?:if|for|while|switch)\b).*\}", re.DOTALL)


class TableError(Exception):
    """A line of the table that does not follow its format."""


@dataclasses.dataclass
class Mutant:
    name: str
    section: str
    module: str
    fields: dict

    def __getattr__(self, field):
        return self.fields.get(field.replace("_", " "), "")

    @property
    def program(self):
        """The test program that has to notice."""
        return self.killed_by.split()[0]

    @property
    def tests(self):
        """Its tests that have to; none means all."""
        return self.killed_by.split()[1:]


def read_file(path):
    mutants, section, fields, field = [], "", None, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or (line.startswith("#") and not HEADING.fullmatch(line)):
            field = None
        elif line.startswith("  ") and field:
            fields[field] += "\n" + line.strip()
        elif found := HEADING.fullmatch(line):
            section = found[1]
        elif found := NAME.fullmatch(line):
            fields, field = {}, None
            mutants.append(Mutant(found[1], section, path.stem, fields))
        elif (found := FIELD.fullmatch(line)) and fields is not None:
            field = found[1]
            if field in fields:
                raise TableError(f"{path.name}:{number}: '{field}' a second time")
            fields[field] = (found[2] or "").strip()
        else:
            raise TableError(f"{path.name}:{number}: neither a heading, a [name] nor a field")
    return mutants


def read_table(folder):
    """All mutants of all files of the folder, in their order."""
    return [m for path in sorted(folder.glob("*.mutants")) for m in read_file(path)]


def is_statement(text):
    return STATEMENT.fullmatch(text) is not None


def is_balanced(text):
    """Whether brackets match: half an expression cannot be replaced."""
    closing = {"(": ")", "[": "]", "{": "}"}
    open_ones = []
    for character in re.sub(r'"(?:[^"\\]|\\.)*"', "", text):
        if character in closing:
            open_ones.append(closing[character])
        elif character in closing.values() and (not open_ones or open_ones.pop() != character):
            return False
    return not open_ones


def pattern_of(text):
    """A pattern that finds this source text however its lines are broken."""
    tokens = re.findall(r"\w+|\S", text)
    parts = []
    for before, token in zip([""] + tokens, tokens):
        if before:
            both_words = before[-1].isidentifier() | before[-1].isdigit()
            both_words = both_words and (token[0].isidentifier() or token[0].isdigit())
            parts.append(r"\s+" if both_words else r"\s*")
        parts.append(re.escape(token))
    start = r"(?<!\w)" if tokens and re.match(r"\w", tokens[0]) else ""
    end = r"(?!\w)" if tokens and re.match(r"\w", tokens[-1]) else ""
    return re.compile(start + "".join(parts) + end)


def find_once(text, wanted, begin, end, what):
    """The one span of `wanted` in text[begin:end]; ValueError says how often it is there."""
    spans = [m.span() for m in pattern_of(wanted).finditer(text, begin, end)]
    if len(spans) != 1:
        raise ValueError(f"{what} occurs {len(spans)} times, not once: {' '.join(wanted.split())}")
    return spans[0]


def find_place(mutant, text):
    """The span of source text that the mutant replaces."""
    begin, end = 0, len(text)
    if mutant.within:
        begin, end = find_once(text, mutant.within, begin, end, "'within'")
    return find_once(text, mutant.original, begin, end, "'original'")


def find_places(mutants, root):
    """Returns {file: [(span, mutant)]} and a list of findings, one line each."""
    places, findings, names = {}, [], set()
    for mutant in mutants:
        where = f"tests/mutation/{mutant.module}.mutants: {mutant.name}"
        if mutant.name in names:
            findings.append(f"{where}: a second mutant of this name")
        names.add(mutant.name)
        missing = [field for field in REQUIRED if not mutant.fields.get(field)]
        if not mutant.killed_by and not mutant.equivalent:
            missing.append("killed by")
        if missing:
            findings.append(f"{where}: no '{missing[0]}'")
            continue
        if mutant.original.split() == mutant.broken.split():
            findings.append(f"{where}: 'broken' equals 'original'")
        if is_statement(mutant.original) != is_statement(mutant.broken):
            findings.append(f"{where}: one of 'original' and 'broken' is a statement, one is not")
        for field in ("original", "broken"):
            if not is_balanced(mutant.fields[field]):
                findings.append(f"{where}: the brackets of '{field}' do not match")
        path = root / mutant.file
        if not path.is_file():
            findings.append(f"{where}: there is no {mutant.file}")
            continue
        try:
            span = find_place(mutant, path.read_text())
        except ValueError as error:
            findings.append(f"{where}: {mutant.file}: {error}")
            continue
        for other_span, other in places.get(mutant.file, []):
            if overlaps_partly(span, other_span):
                findings.append(f"{where}: its place and that of {other.name} overlap in part")
        places.setdefault(mutant.file, []).append((span, mutant))
    return places, findings


def overlaps_partly(one, other):
    """Whether two spans share text and neither holds the other."""
    first, second = sorted((one, other))
    return first[0] < second[0] < first[1] < second[1]


def instrument(text, places):
    """The source with a switch at each place; [(span, mutant)] as find_places returns them."""
    # The outer one first where one place holds another.
    ordered = sorted(places, key=lambda place: (place[0][0], -place[0][1]))
    return _instrument(text, 0, len(text), ordered)


def _instrument(text, begin, end, places):
    out, at = [], begin
    while places:
        (first, last), mutant = places[0]
        inner = [place for place in places[1:] if place[0][0] < last]
        out.append(text[at:first])
        out.append(_switch(mutant, _instrument(text, first, last, inner)))
        at = last
        places = places[1 + len(inner) :]
    out.append(text[at:end])
    return "".join(out)


def _switch(mutant, original):
    chosen = f'::multiraft::is_chosen_mutant("{mutant.name}")'
    if is_statement(mutant.original):
        return f"{{ if ({chosen}) {{ {mutant.broken} }} else {{ {original} }} }}"
    if mutant.broken in ("true", "false"):
        original = f"bool({original})"  # A condition: a pointer or an id may be one.
    return f"({chosen} ? ({mutant.broken}) : ({original}))"


def write_copies(places, root, folder):
    """Writes the instrumented copies, and only those that changed. Returns their names."""
    wanted = {}
    for name, its_places in places.items():
        text = instrument((root / name).read_text(), its_places)
        # A header's warnings are those of its expressions, which are broken on purpose.
        quiet = "#pragma GCC system_header\n" if name.endswith(".h") else ""
        wanted[name] = f'#include "mutant_switch.h"\n{quiet}#line 1 "{name}"\n{text}'
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
    return sorted(wanted)
