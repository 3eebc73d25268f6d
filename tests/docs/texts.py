"""The texts with which the service tells that something is wrong, read out of its sources.

A whole text is the format of a call that tells one (WHOLE), with what the function puts around it. A part is any other string of two
words and more: of a table, or put together with others. What is no such text (SQL, XPath, help, settings' descriptions) is left out
by the function that takes it, by its form or by its file; all else counts, so that a new text cannot be overlooked.
"""

import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FOLDERS = ("api", "db", "server", "base")
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[A-Za-z_]\w*|\\\n|\s+|.', re.S)
HOLE = "\1"
CONVERSION = re.compile(r"%[-#0 +]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j|t)?[diouxXeEfgGcsp]")

# Calls whose first string is a whole text, and what is put around it.
WHOLE = {
    "error_set": "{}", "error_set_errno": "{}: \1", "error_wrap": "{}: \1", "request_reply_fault": "{}", "action_refuse": "{}",
    "config_problem": "{}", "simulated_fail": "{}", "log_error": "{}", "command_report": "{}", "fprintf": "{}", "verb_refuse": "{}",
    "look_found": "{}", "libvirt_error": "host \1: cannot {}: \1", "finish_stream": "host \1: cannot {}: \1",
    "out_of_reach": "host \1: cannot connect: {}",
    "end_lost": "The server could not be brought back: {}",
}
# Calls whose strings are no texts of errors: of libraries, of SQL, of what is printed when all is well.
OTHERS = {"json_pack", "json_unpack", "sscanf", "strpbrk", "strcspn", "strspn", "strtok_r", "strstr", "strlen", "strncasecmp", "printf",
          "statement_begin", "statement_begin_change", "statement_execute", "CONDITION_TEXT", "CONDITION_NUMBER", "CONDITION_FACT",
          "UPDATE_SERVER", "_Static_assert", "static_assert", "add_texts", "add_header", "run_verb", "job_enter", "puts", "ROW_TYPE", "forget"}
# Files whose tables hold no texts of errors: descriptions of settings, help, what holds (invariants), policies, forms of a log line, views, SQL.
OTHER_TABLES = ("server/config_keys.c", "server/config_deployment.c", "server/config_print.c", "server/config_simulation.c", "server/command", "server/cli/",
                "server/verbs", "server/worker/invariants.c", "server/main.c", "api/auth/policy_defaults.c", "base/log.c", "server/worker/recover_table.c",
                "api/view_rows.c", "db/query.c")
# Strings that are something else by their form: SQL, paths of XML and JSON, headers, lines of --help.
OTHER_FORMS = re.compile(r"^(usage: |READY=|RELOADING=|STOPPING=|SELECT |DELETE |UPDATE |INSERT |ALTER |CREATE |PRAGMA |SAVEPOINT |ROLLBACK |RELEASE |BEGIN |ORDER BY| ?WHERE "
                         r"| ?AND | LIMIT |\$columns|\('|/domain|\[not|X-[A-Z]|Content-Type|application/|text/plain|<volume|SUM\(|COUNT\(|COALESCE\(|0 AS "
                         r"| ?LEFT JOIN| WHERE|\{|role:|rule:|is_admin:|\\0|\\u0000|\) RETURNING|(host|server|migration) [a-z]+$|migrationd $|simulated guest |.*\[--config FILE|.*\\n {4})")
HELP = {f"server/cli/{name}.c" for name in ("help", "completion", "manual", "config_manual", "roff")}
WORDS = re.compile(r"(?=.*[A-Za-z]{3}).*[A-Za-z].* .*[A-Za-z]")


def tokens(text):
    line = 1
    for match in TOKEN.finditer(text):
        token = match[0]
        begin = line
        line += token.count("\n")
        if not token.isspace() and not token.startswith(("//", "/*", "\\\n")):
            yield begin, token


def strings(path):
    """(line, function, number of strings of this argument list before, words before the string, whether a metric's name stands
    before it in its braces, text) of each string constant."""
    stack = [["", 0, [], False]]
    previous, current = "", None
    for line, token in tokens(path.read_text(encoding="utf-8")):
        if token.startswith('"'):
            if current is None:
                current = [line, stack[-1], ""]
            current[2] += token[1:-1]
            continue
        if current is not None:
            if re.fullmatch(r"PRI\w+|[A-Z][A-Z_]{4,}", token):  # a macro within a string
                current[2] += "%s" if not token.startswith("PRI") else "d"
                continue
            yield current[0], current[1][0], current[1][1], list(current[1][2]), current[1][3], current[2]
            if current[2].startswith(("migrationd_", "process_")):
                current[1][3] = True
            if token not in (":", "?"):  # both strings of a choice are at the same place
                current[1][1] += 1
            current = None
        if token in "([{":
            stack.append([previous if token == "(" and re.match(r"[A-Za-z_]", previous) else "", 0, [], False])
        elif token in ")]}" and len(stack) > 1:
            stack.pop()
        else:
            stack[-1][2].append(token)
        previous = token


def plain(text):
    """A format with a hole for each variable part."""
    text = text.replace('\\"', '"').replace("\\n", "").replace("\\\\", "\\").replace("\\t", " ")
    text = re.sub(r"%%", "\2", text)
    text = CONVERSION.sub(HOLE, text)
    return text.replace("\2", "%")


class Text:
    def __init__(self, path, line, text, is_whole):
        self.place, self.text, self.is_whole = f"{path.relative_to(TOP)}:{line}", text, is_whole

    def pattern(self):
        """Of an entry that has it: each hole is words in capitals, or nothing where it is a word's ending or one of several."""
        pieces = re.split(f"((?:{HOLE})+)", self.text.strip() if self.is_whole else self.text.strip(" \1:;,.()"))
        capitals = r'"?[A-Z][A-Z0-9_]*(?: [A-Z][A-Z0-9_]*)*"?'
        result = ""
        for before, piece in zip(["", *pieces], pieces):
            if not piece.startswith(HOLE):
                result += re.escape(piece)
            elif before[-1:].isalpha():
                result += f"(?:s| (?:of kid |with kid )?{capitals})?"
            else:
                result += f"(?:{capitals}){'?' if len(piece) > 1 else ''}"
        return re.compile(result)

    def shown(self):
        return self.text.replace(HOLE, "…")

    def is_told_by(self, entry):
        return bool(self.pattern().fullmatch(entry) if self.is_whole else self.pattern().search(entry))


def is_none(relative, function, number, words, is_of_a_metric, text):
    """Whether a string is no text of an error."""
    if function in WHOLE and number == 0:
        return not re.search(r"[A-Za-z]{3}", plain(text)) or OTHER_FORMS.match(text) is not None
    if function in OTHERS and (number == 0 or function != "json_pack") or OTHER_FORMS.match(text):
        return True
    if relative.startswith(OTHER_TABLES) and (not function or function in ("text_append_format", "snprintf", "INTERFACE_KEY", "CONDITION")):
        return True
    if is_of_a_metric or relative in HELP:
        return True
    # What is told when all goes well.
    is_good_news = function == "log_event" and {"LOG_LEVEL_INFO", "LOG_LEVEL_DEBUG"} & set(words) and "LOG_LEVEL_WARNING" not in words
    return bool(is_good_news) or not WORDS.search(plain(text))


def texts():
    """All of them, and the words that stand alone in strings, of which others are put together."""
    found, words_alone = [], set()
    for path in sorted(path for folder in FOLDERS for path in (TOP / folder).rglob("*.[ch]")):
        relative = str(path.relative_to(TOP))
        for line, function, number, words, is_of_a_metric, text in strings(path):
            if is_none(relative, function, number, words, is_of_a_metric, text):
                if not WORDS.search(plain(text)):
                    words_alone |= set(re.findall(r"[A-Za-z]+", plain(text)))
                continue
            is_whole = function in WHOLE and number == 0
            found.append(Text(path, line, WHOLE[function].format(plain(text)) if is_whole else plain(text), is_whole))
    return found, words_alone
