"""Where small faults can be planted in C, and a source with all chosen ones in it, each behind a switch.

A site is a place of the syntax tree (libclang) and an operator; `plant` writes it as `(MUTANT(n) ? changed : original)`, so that one
build holds all of them. Constants of static tables cannot be chosen at run time: there a whole second table stands behind the switch.
Nothing inside a macro's expansion is a site: the text there stands for more than one place.
"""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from clang import cindex
from clang.cindex import CursorKind as Kind

OPERATORS = {
    "comparison": "a comparison is turned round (== and !=, < and >=), or its bound moved by one (< and <=)",
    "condition": "one side of && or || is dropped",
    "constant": "a number is one more, from 100 on twice as much; a result of 0 is an error's; true is false; in statements, in static"
                " tables, and of a macro that is a number",
    "statement": "a call, an assignment, an early return, break or continue is removed",
    "branch": "an if or ?: takes the other branch",
    "arithmetic": "+ is -, and - is +",
}
NEGATED = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
MOVED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
ASSIGNMENTS = re.compile(r"(?<![=!<>])(=|\+=|-=|\|=|&=|\^=|<<=|>>=)(?!=)")
# What they do is not what an operator or a client relies on: a line of the log, a word for the person who reads it.
UNJUDGED_CALLS = ("log_event", "log_", "fprintf", "fputs", "puts", "printf", "assert")
# What these do is nothing: on Linux a mutex, a condition or their attributes hold nothing that could be given back.
EMPTY_CALLS = re.compile(r"pthread_\w+_destroy\(")
# The text before a 0 that says that all is well.
RESULT = re.compile(r"(?:\breturn|\bresult\s*=)\s*$")
# What is done when there is no memory: only an allocation that fails would show a fault there.
NO_MEMORY = re.compile(r"no_memory|ENOMEM")
MACRO = re.compile(rb"^#define ([A-Z][A-Z0-9_]*)[ \t]+(\d[0-9a-fA-FxX]*[uUlL]*)[ \t]*(?:/\*|$)", re.M)
NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)$")


def another(match):
    """Another number in the same notation."""
    digits = match[1]
    is_hex, is_octal = digits[:2] in ("0x", "0X"), len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    number = int(digits, 16 if is_hex else 8 if is_octal else 10)
    number = number + 1 if number < 100 else 2 * number
    return f"{number:#x}{match[2]}" if is_hex else f"0{number:o}{match[2]}" if is_octal else f"{number}{match[2]}"


@dataclass(frozen=True)
class Site:
    """One fault. The range is of bytes in its file; a table's has the table's name."""
    path: str
    function: str
    operator: str
    start: int
    end: int
    changed: str  # the text that stands there instead; empty: nothing (a statement)
    original: str
    line: int
    ordinal: int  # among the same in the function
    table: str = ""
    is_macro: bool = False  # it can be planted only where no use of it has to be constant

    @property
    def name(self):
        """The same as long as the function's text at this place is."""
        digest = hashlib.sha256(f"{self.original}\0{self.changed}".encode()).hexdigest()[:8]
        return f"{self.path}:{self.function}:{self.operator}:{digest}:{self.ordinal}"

    def __str__(self):
        def short(text):
            text = " ".join(text.split())
            return text if len(text) <= 90 else text[:87] + "..."
        return f"{self.path}:{self.line}: {self.function}: {short(self.original)} -> {short(self.changed) or 'removed'}"


class Source:
    """One C file with its syntax tree."""

    def __init__(self, path, relative, arguments):
        self.path = path
        self.relative = relative
        self.bytes = Path(path).read_bytes()
        self.unit = cindex.Index.create().parse(str(path), args=arguments, options=cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD)
        errors = [item for item in self.unit.diagnostics if item.severity >= cindex.Diagnostic.Error]
        if errors:
            raise SystemExit(f"{path}: {errors[0]}")
        self.macros = []
        self.booleans = set()
        for cursor in self.unit.cursor.get_children():
            if cursor.kind == Kind.MACRO_INSTANTIATION and self.is_here(cursor):
                place = (cursor.extent.start.offset, cursor.extent.end.offset)
                if cursor.spelling in ("true", "false"):
                    self.booleans.add(place)
                self.macros.append((*place, cursor.spelling))
        self.sites = []
        self.ordinals = defaultdict(int)
        self.tables = {}  # name -> (start, end) of its declaration, without ;
        self.bodies = []

    def is_here(self, cursor):
        return cursor.location.file and cursor.location.file.name == str(self.path)

    def text(self, start, end):
        return self.bytes[start:end].decode("utf-8", "replace")

    @staticmethod
    def place(cursor):
        return cursor.extent.start.offset, cursor.extent.end.offset

    def is_in_macro(self, start, end):
        """It lies in a macro's expansion, or cuts through one."""
        for first, last, _ in self.macros:
            if first < end and start < last and not (start <= first and last <= end and (first, last) != (start, end)):
                return True
        return False

    def add(self, function, operator, place, changed, table="", macro=False):
        start, end = place
        original = self.text(start, end)
        if changed == original or start >= end:
            return
        key = (function, operator, original, changed)
        line = self.bytes.count(b"\n", 0, start) + 1
        self.sites.append(Site(self.relative, function, operator, start, end, changed, original, line, self.ordinals[key], table, macro))
        self.ordinals[key] += 1

    def find(self):
        for cursor in self.unit.cursor.get_children():
            if not self.is_here(cursor):
                continue
            if cursor.kind == Kind.FUNCTION_DECL and cursor.is_definition():
                body = [child for child in cursor.get_children() if child.kind == Kind.COMPOUND_STMT][0]
                self.bodies.append(self.place(body))
                self.walk(body, cursor.spelling, None)
            elif cursor.kind == Kind.VAR_DECL and cursor.storage_class.name == "STATIC" and self.text(*self.place(cursor)).endswith("}"):
                self.tables[cursor.spelling] = self.place(cursor)
        for name in self.tables:
            if self.may_be_copied(name):
                self.find_in_table(name)
        for match in MACRO.finditer(self.bytes):
            name, number = match[1].decode(), NUMBER.match(match[2].decode())
            if number and len(re.findall(rf"\b{name}\b".encode(), self.bytes)) > 1:
                self.add(name, "constant", match.span(2), another(number), macro=True)
        return self.sites

    # Within functions.
    def walk(self, cursor, function, parent):
        kind = cursor.kind
        children = list(cursor.get_children())
        if kind == Kind.DECL_STMT and any(child.kind == Kind.VAR_DECL and child.storage_class.name == "STATIC" for child in children):
            return  # as a table's: not chosen at run time
        if kind in (Kind.CXX_UNARY_EXPR, Kind.StmtExpr) or (kind == Kind.VAR_DECL and "[" in cursor.type.spelling and children
                                                             and children[-1].kind != Kind.INIT_LIST_EXPR):
            return
        handler = self.HANDLERS.get(kind)
        place = self.place(cursor)
        if self.is_for_no_memory(kind, place, children):
            return
        if handler and not self.is_in_macro(*place):
            handler(self, cursor, place, children, function, parent)
        elif kind == Kind.INTEGER_LITERAL and place in self.booleans:
            self.boolean(cursor, place, children, function, parent)
        if kind == Kind.COMPOUND_STMT or (kind in (Kind.IF_STMT, Kind.FOR_STMT, Kind.WHILE_STMT, Kind.DO_STMT)):
            for child in children if kind == Kind.COMPOUND_STMT else children[1:] if kind == Kind.IF_STMT else children[:1] if kind == Kind.DO_STMT \
                    else children[-1:]:
                self.statement(child, cursor, parent, function)
        for index, child in enumerate(children):
            if kind == Kind.CASE_STMT and index == 0:
                continue
            if kind == Kind.VAR_DECL and "[" in cursor.type.spelling and child.kind != Kind.INIT_LIST_EXPR:
                continue  # the array's size
            self.walk(child, function, cursor)

    def is_for_no_memory(self, kind, place, children):
        if kind == Kind.IF_STMT:
            return len(children) == 2 and bool(NO_MEMORY.search(self.text(*self.place(children[1])))) and place[1] - place[0] < 300
        return kind in (Kind.RETURN_STMT, Kind.CONDITIONAL_OPERATOR) and bool(NO_MEMORY.search(self.text(*place)))

    def between(self, left, right):
        return self.text(left.extent.end.offset, right.extent.start.offset)

    def binary(self, cursor, place, children, function, _parent):
        left, right = children
        between = re.sub(r"/\*.*?\*/", "", self.between(left, right), flags=re.S)
        word = between.strip().strip("()").strip()
        a, b = self.text(*self.place(left)), self.text(*self.place(right))
        if self.text(*place) != f"{a}{self.between(left, right)}{b}":
            return  # parts of it come from a macro

        def put(other):
            return f"{a}{self.between(left, right).replace(word, other, 1)}{b}"
        if word in NEGATED:
            self.add(function, "comparison", place, put(NEGATED[word]))
            if word in MOVED:
                self.add(function, "comparison", place, put(MOVED[word]))
        elif word in ("&&", "||"):
            self.add(function, "condition", place, f"!!({a})")
            self.add(function, "condition", place, f"!!({b})")
        elif word in ("+", "-") and not any("*" in one.type.spelling or "[" in one.type.spelling for one in (cursor, left, right)):
            self.add(function, "arithmetic", place, put("-" if word == "+" else "+"))

    def unary(self, _cursor, place, children, function, _parent):
        text = self.text(*place)
        if text.startswith("!") and len(children) == 1:
            self.add(function, "comparison", place, "!" + text)

    def if_statement(self, _cursor, _place, children, function, _parent):
        condition = self.place(children[0])
        if not self.is_in_macro(*condition) and children[0].kind not in (Kind.BINARY_OPERATOR,) or len(children) > 2:
            self.add(function, "branch", condition, f"!({self.text(*condition)})")

    def ternary(self, _cursor, _place, children, function, _parent):
        condition = self.place(children[0])
        if not self.is_in_macro(*condition):
            self.add(function, "branch", condition, f"!({self.text(*condition)})")

    def number(self, _cursor, place, _children, function, parent):
        if place in self.booleans:
            return
        match = NUMBER.match(self.text(*place))
        if not match or (parent is not None and parent.kind == Kind.ARRAY_SUBSCRIPT_EXPR):
            return
        before, behind = self.text(place[0] - 60, place[0]), self.text(place[1], place[1] + 4)
        if match[0] == "0" and before.endswith("{ ") and behind.startswith(" }"):
            return  # all members are 0, whatever the first one means
        if before.endswith("calloc("):
            return  # more memory changes nothing
        self.add(function, "constant", place, "-1" if match[0] == "0" and RESULT.search(before) else another(match))

    def boolean(self, _cursor, place, _children, function, _parent):
        self.add(function, "constant", place, "false" if self.text(*place) == "true" else "true")

    def statement(self, cursor, parent, grandparent, function):
        start, end = place = self.place(cursor)
        if self.is_in_macro(*place) or not self.bytes[end:end + 1] == b";":
            return
        text = self.text(start, end)
        kind = cursor.kind
        is_removable = kind == Kind.CALL_EXPR and not text.startswith(UNJUDGED_CALLS) and not EMPTY_CALLS.match(text)
        is_removable |= kind in (Kind.COMPOUND_ASSIGNMENT_OPERATOR, Kind.UNARY_OPERATOR)
        is_removable |= kind == Kind.BINARY_OPERATOR and bool(ASSIGNMENTS.search(text))
        if kind in (Kind.RETURN_STMT, Kind.BREAK_STMT, Kind.CONTINUE_STMT):
            owner = parent if parent.kind == Kind.IF_STMT else grandparent if grandparent is not None and grandparent.kind == Kind.IF_STMT else None
            is_removable = owner is not None and len(list(owner.get_children())) == 2
        if is_removable:
            self.add(function, "statement", (start, end + 1), "")

    HANDLERS = {Kind.BINARY_OPERATOR: binary, Kind.UNARY_OPERATOR: unary, Kind.IF_STMT: if_statement, Kind.CONDITIONAL_OPERATOR: ternary,
                Kind.INTEGER_LITERAL: number}

    # Static tables.
    def names_in(self, place):
        return set(re.findall(r"(?<![\w.>])[A-Za-z_]\w*", self.text(*place)))

    def users(self, name):
        """Other tables whose initialiser names it, however far."""
        found, ahead = [], [name]
        while ahead:
            one = ahead.pop()
            for other, place in self.tables.items():
                if other not in found and other != name and other != one and one in self.names_in(place):
                    found.append(other)
                    ahead.append(other)
        return sorted(found, key=lambda other: self.tables[other])

    def may_be_copied(self, name):
        """Only functions of this file and tables of this file see it, and those tables."""
        chain = (name, *self.users(name))
        allowed = [self.tables[other] for other in chain] + self.bodies
        for match in re.finditer(rf"\b({'|'.join(chain)})\b".encode(), self.bytes):
            if not any(start <= match.start() < end for start, end in allowed) and not self.is_in_comment(match.start()):
                return False
        return True

    def is_in_comment(self, offset):
        opened, closed = self.bytes.rfind(b"/*", 0, offset), self.bytes.rfind(b"*/", 0, offset)
        return opened > closed

    def find_in_table(self, name):
        start, end = self.tables[name]
        first = self.bytes.index(b"{", self.bytes.index(b"=", start))
        for literal in re.finditer(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/|\btrue\b|\bfalse\b|(?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]*(?![\w.])',
                                   self.bytes[first:end].decode("latin-1"), re.S):
            word = literal[0]
            place = (first + literal.start(), first + literal.end())
            if word[0] in "\"'/" or (place not in self.booleans and self.is_in_macro(*place)):
                continue
            before = self.bytes[:place[0]].rstrip()[-1:]
            if before == b"[":  # a designator
                continue
            if word == "0" and before == b"{" and self.bytes[place[1]:].lstrip()[:1] == b"}":
                continue  # the row that ends the table
            match = NUMBER.match(word)
            changed = another(match) if match else "false" if word == "true" else "true"
            self.add(name, "constant", place, changed, table=name)


# Planting.
HEAD = '#include "{header}"\n#line 1 "{path}"\n'


def plant(source, numbered):
    """The file's text with the given sites {number: site} behind their switches."""
    tables = {number: site for number, site in numbered.items() if site.table}
    edits = defaultdict(list)  # (start, end) -> [(number, site)]
    for number, site in numbered.items():
        if not site.table:
            edits[site.start, site.end].append((number, site))
    copies, references = table_copies(source, tables)
    for place, text in references.items():
        edits[place].append((0, text))
    for offset, text in copies.items():
        edits[offset, offset].append((0, text))
    return render(source, 0, len(source.bytes), sorted(edits.items(), key=lambda item: (item[0][0], -item[0][1])))


def render(source, start, end, edits):
    """The text of a range with its edits (sorted: the outer one first), those within others too."""
    parts, at, index = [], start, 0
    while index < len(edits):
        (first, last), here = edits[index]
        index += 1
        inner = []
        while index < len(edits) and edits[index][0][0] < last and (first, last) != (edits[index][0][0], edits[index][0][0]):
            inner.append(edits[index])
            index += 1
        parts.append(source.text(at, first))
        text = render(source, first, last, inner)
        for number, site in here:
            if number == 0:
                text = site if first != last else text + site
            elif site.operator == "statement":
                text = f"{{ if (!MUTANT({number})) {text} }}"
            else:
                text = f"(MUTANT({number}) ? ({site.changed}) : ({text}))"
        parts.append(text)
        at = last
    parts.append(source.text(at, end))
    return "".join(parts)


def table_copies(source, tables):
    """What to insert behind declarations, and what stands for each name in functions."""
    copies, switched = defaultdict(str), defaultdict(list)
    for number, site in sorted(tables.items()):
        chain = [site.table, *source.users(site.table)]
        for name in chain:
            start, end = source.tables[name]
            equals = source.bytes.index(b"=", start)
            text = source.text(equals, end)
            if name == site.table:
                text = source.text(equals, site.start) + site.changed + source.text(site.end, end)
            for other in chain:
                if other != name:
                    text = re.sub(rf"(?<![\w.>]){other}\b", f"{other}__{number}", text)
            copies[end + 1] += f" static const __typeof__({name}) {name}__{number} {text};"
            switched[name].append(number)
    references = {}
    for name, numbers in switched.items():
        text = name
        for number in numbers:
            text = f"(*(MUTANT({number}) ? &{name}__{number} : &{text}))" if text == name else \
                f"(*(MUTANT({number}) ? &{name}__{number} : &{text}))"
        for start, end in source.bodies:
            for match in re.finditer(rf"(?<![\w.>\"]){name}\b(?!\")".encode(), source.bytes[start:end]):
                place = (start + match.start(), start + match.end())
                before = source.bytes[:place[0]].rstrip()
                if before.endswith((b"ARRAY_LENGTH(", b"sizeof(", b"sizeof")) or source.is_in_comment(place[0]):
                    continue
                references[place] = text
    return copies, references
