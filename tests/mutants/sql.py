"""Small faults in SQL: from the texts that the product really prepares, as they were seen in a run."""

import re
import sqlite3

OPERATORS = {
    "SQL clause": "a condition, ORDER BY, LIMIT, DISTINCT, ON CONFLICT, a column's constraint or an assignment of UPDATE is dropped",
    "SQL comparison": "= is <>, < is <=, EXISTS is NOT EXISTS, IS NULL is IS NOT NULL",
    "SQL constant": "a number is one more, from 100 on twice as much",
    "pragma": "a pragma has its other value, or is left out",
}
PRAGMAS = {"= FULL": "= OFF", "= ON": "= OFF", "= OFF": "= ON", "= WAL": "= DELETE", "= DELETE": "= WAL", "= MEMORY": "= FILE"}
WORDS = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\b\w+\b|<=|>=|<>|!=|[^\s]", re.S)
ENDS = {"AND", "OR", "ORDER", "LIMIT", "GROUP", "RETURNING", "UNION", "ON", "HAVING", "WHEN", "BEGIN"}


def tokens(text):
    return [(match[0], match.start(), match.end()) for match in WORDS.finditer(text)]


def end_of_condition(words, index):
    """The index behind a condition that begins at the index: at the next AND, OR or end of the clause, on the same level."""
    depth = 0
    between = False
    while index < len(words):
        word = words[index][0].upper()
        if word == "(":
            depth += 1
        elif word == ")":
            if depth == 0:
                return index
            depth -= 1
        elif depth == 0 and word == "BETWEEN":
            between = True
        elif depth == 0 and word == "AND" and between:
            between = False
        elif depth == 0 and (word in ENDS or word in (";", ",")):
            return index
        index += 1
    return index


def end_of_assignment(words, upper, index):
    depth = 0
    while index < len(words) and not (depth == 0 and upper[index] in (",", "WHERE", "RETURNING", "FROM", ";", ")")):
        depth += (words[index][0] == "(") - (words[index][0] == ")")
        index += 1
    return index


def cut(text, start, end, put=""):
    return text[:start] + put + text[end:]


def changes(text):
    """(operator, what is changed, the changed text) of a statement."""
    words = tokens(text)
    upper = [word.upper() for word, _, _ in words]
    if "PRAGMA" in upper:
        yield from pragma_changes(text)
        return
    is_schema = upper[:1] == ["CREATE"] or "CREATE" in upper
    for index, (word, start, end) in enumerate(words):
        here = upper[index]
        following = upper[index + 1] if index + 1 < len(words) else ""
        if here in ("WHERE", "AND", "OR", "HAVING") and not (here == "AND" and "BETWEEN" in upper[max(0, index - 4):index]):
            last = end_of_condition(words, index + 1)
            stop = words[last - 1][2]
            first = words[index + 1][1]
            condition = text[first:stop]
            if here in ("AND", "OR"):
                yield "SQL clause", f"{here} {condition}", cut(text, start, stop)
            else:
                yield "SQL clause", f"{here} {condition}", cut(text, first, stop, "1")
        elif here == "ORDER" and following == "BY":
            last = index
            depth = 0
            while last < len(words) and not (depth == 0 and upper[last] in ("LIMIT", ")", "RETURNING", ";")):
                depth += (words[last][0] == "(") - (words[last][0] == ")")
                last += 1
            yield "SQL clause", text[start:words[last - 1][2]], cut(text, start, words[last - 1][2])
        elif here == "LIMIT" and index + 1 < len(words):
            last = index + 2 if following != "?" else index + 3
            yield "SQL clause", text[start:words[last - 1][2]], cut(text, start, end, "LIMIT -1 + 0 *")
        elif here in ("DISTINCT", "UNIQUE"):
            yield "SQL clause", word, cut(text, start, end)
        elif here == "ON" and following in ("CONFLICT", "DELETE"):
            last = index + 2
            while last < len(words) and upper[last] not in ("RETURNING", ",", ")", ";") and last < index + 40:
                last += 1
            yield "SQL clause", text[start:words[last - 1][2]], cut(text, start, words[last - 1][2])
        elif here == "SET" or (word == "," and "SET" in upper[:index] and "WHERE" not in upper[:index] and upper[0] == "UPDATE"):
            last = end_of_assignment(words, upper, index + 1)
            name = upper[index + 1] if index + 1 < len(words) else ""
            if word == "," and name.isidentifier():
                yield "SQL clause", text[start:words[last - 1][2]], cut(text, start, words[last - 1][2])
        elif here in ("=", "<>", "<", ">", "<=", ">=") and not (upper[0] == "UPDATE" and is_assignment(upper, index)):
            other = {"=": "<>", "<>": "=", "<": "<=", "<=": "<", ">": ">=", ">=": ">"}[here]
            yield "SQL comparison", text[max(0, start - 30):end + 20], cut(text, start, end, other)
        elif here == "NOT" and following in ("EXISTS", "IN"):
            yield "SQL comparison", text[start:end + 30], cut(text, start, end)
        elif here == "NOT" and following == "NULL":
            yield ("SQL clause" if is_schema else "SQL comparison"), text[max(0, start - 20):end + 5], \
                cut(text, start, words[index + 1][2] if is_schema else end)
        elif here in ("EXISTS",) and (index == 0 or upper[index - 1] not in ("NOT", "IF")):
            yield "SQL comparison", text[start:end + 30], cut(text, start, start, "NOT ")
        elif here == "IS" and following == "NULL":
            yield "SQL comparison", text[max(0, start - 20):end + 5], cut(text, start, end, "IS NOT")
        elif re.fullmatch(r"\d+", word) and (index == 0 or words[index - 1][0] != "?"):
            yield "SQL constant", text[max(0, start - 30):end], cut(text, start, end, str(int(word) + 1 if int(word) < 100 else 2 * int(word)))


def is_assignment(upper, index):
    """Of UPDATE: before its WHERE, at the clause's own level."""
    depth = 0
    for word in upper[:index]:
        if word == "WHERE" and depth == 0:
            return False
        depth += (word == "(") - (word == ")")
    return depth == 0


def pragma_changes(text):
    for match in re.finditer(r"PRAGMA [^;]+;?\s*", text):
        if "=" in match[0]:
            yield "pragma", match[0].strip(), cut(text, match.start(), match.end(), "")
    for old, new in PRAGMAS.items():
        for match in re.finditer(re.escape(old) + r"\b", text):
            yield "pragma", text[max(0, match.start() - 20):match.end()], cut(text, match.start(), match.end(), new)


def place(text, changed):
    """Where in the product's source the change is: statements that are put together of parts have it in common, whichever other parts
    each has. Of another statement than a SELECT, and of a lone one, the text itself."""
    begin = 0
    while begin < min(len(text), len(changed)) and text[begin] == changed[begin]:
        begin += 1
    end = 0
    while end < min(len(text), len(changed)) - begin and text[-1 - end] == changed[-1 - end]:
        end += 1
    head, found, _ = text.partition(" FROM ")
    if not found or not head.lstrip().upper().startswith("SELECT"):
        return text, changed
    cut_out, put_in = text[begin:len(text) - end], changed[begin:len(changed) - end]
    before, after = ("", "") if len(cut_out) > 2 else (words_of(text[:begin])[-4:], words_of(text[len(text) - end:])[:3])
    return head, " ".join(words_of(cut_out)), " ".join(words_of(put_in)), " ".join(before), " ".join(after)


def words_of(text):
    """Without the numbers of parameters, which depend on the other parts."""
    return [word for word, _, _ in tokens(re.sub(r"\?\d+", "?", text))]


def is_accepted(connection, text):
    """SQLite takes it: what it refuses at once is no fault that a test is needed for."""
    try:
        if text.strip().upper().startswith("PRAGMA") or not text.strip():
            return True
        if "CREATE" in text.upper():
            with sqlite3.connect(":memory:") as empty:
                empty.executescript(text)
            return True
        connection.execute("EXPLAIN " + text, [None] * max([0, *(int(n) for n in re.findall(r"\?(\d+)", text))]) or [None] * text.count("?"))
        return True
    except sqlite3.Error as error:
        return "no such function" in str(error) or "no such table" in str(error)
