"""Recorded values as forms. An answer is compared with `==`: where the recording is exact the form is the value itself, and
where it is not, an object that knows which values are meant. So a comparison costs next to nothing, and lies.py can afford many.

A form of a document is made once, by form_of(), from the recorded document, in which a decision has put Decided objects.
"""

import json
import re

import state

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
# Of a time only the form is recorded: with Z in a server's document, with microseconds elsewhere.
TIMES_WITH_Z = ("created", "updated")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Form:
    """Equal to every value that it stands for. Two forms that print alike stand for the same."""

    __hash__ = None

    def __repr__(self):
        return f"{type(self).__name__}{tuple(vars(self).values())!r}"


class Exactly(Form):
    """A number or a boolean, which are not each other: Python says that 1 == True == 1.0."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, found):
        return type(found) is type(self.value) and found == self.value

    def plain(self):
        return self.value


class Matching(Form):
    """A text that a regular expression matches from end to end."""

    def __init__(self, pattern):
        self.pattern = re.compile(pattern, re.DOTALL)

    def __eq__(self, found):
        return isinstance(found, str) and self.pattern.fullmatch(found) is not None

    def plain(self):
        return f"/{self.pattern.pattern}/"


class OneOf(Form):
    """Any of some forms."""

    def __init__(self, *allowed):
        self.allowed = allowed

    def __eq__(self, found):
        return any(found == form for form in self.allowed)

    def plain(self):
        return plain(self.allowed[0])


class Decided(OneOf):
    """One of the forms that stand, by the decision of that name, in place of the recorded one. That one is no longer good,
    unless it is among them."""

    def __init__(self, name, recorded, *allowed):
        super().__init__(*allowed)
        self.name, self.recorded = name, recorded


def text_form(text, key):
    filled = state.fill(text)
    if "{" not in filled:
        return filled
    if filled == "{time}":
        return Matching(DATE + ("Z" if key in TIMES_WITH_Z else r"\.\d{6}"))
    if filled == "{request_id}":
        return Matching("req-" + UUID)
    return filled


# What the recording calls {uuid}, {request_id} or {reservation_id} is known by what else is in the row.
def row_id(row):
    if "hypervisor_hostname" in row:
        return "{hypervisor_%s}" % row["hypervisor_hostname"]
    return "{service_%s}" % row["host"] if "host" in row else "{uuid}"


def member_form(row, key, value):
    if not isinstance(value, str):
        return form_of(value, key)
    if value == "{uuid}" and key == "id":
        return form_of(row_id(row), key)
    if value == "{request_id}" and "action" in row:
        return form_of("{request_of_%s}" % row["action"], key)
    if value == "{reservation_id}":
        return state.RESERVATIONS.get(state.fill(row["id"]), state.OTHER_RESERVATION)
    # Recorded as a text, answered as a number.
    if key == "id" and re.fullmatch(r"\{migration\d*\}", value) and value[1:-1] in state.NAMES:
        return Exactly(int(state.fill(value)))
    return form_of(value, key)


def form_of(value, key=None):
    """The form of a recorded value; `key`: under which it stands in an object."""
    if isinstance(value, str):
        return text_form(value, key)
    if isinstance(value, (bool, int, float)):
        return Exactly(value)
    if isinstance(value, dict):
        return {name: member_form(value, name, member) for name, member in value.items()}
    if isinstance(value, list):
        return [form_of(entry, key) for entry in value]
    if isinstance(value, OneOf) and not isinstance(value, Decided):
        return OneOf(*(form_of(form, key) for form in value.allowed))
    if isinstance(value, Decided):
        return Decided(value.name, form_of(value.recorded, key), *(form_of(form, key) for form in value.allowed))
    return value


def plain(form):
    """A form as a document that can be shown."""
    if isinstance(form, Form):
        return form.plain()
    if isinstance(form, dict):
        return {key: plain(value) for key, value in form.items()}
    return [plain(entry) for entry in form] if isinstance(form, list) else form


def shown(form):
    return json.dumps(plain(form))[:250]


def decisions_of(found, form):
    """The names of the decisions that a found document, which has the form, owes its being good to."""
    if isinstance(form, Decided):
        if found == form.recorded:
            return set()
        return {form.name} | decisions_of(found, next((one for one in form.allowed if found == one), None))
    if isinstance(form, dict) and isinstance(found, dict):
        return {name for key in form for name in decisions_of(found.get(key), form[key])}
    if isinstance(form, list) and isinstance(found, list):
        return {name for pair in zip(found, form) for name in decisions_of(*pair)}
    return set()


def places(found, form, path="body"):
    """Where a document has not the form, each in words; at most five of a list or an object."""
    if found == form:
        return []
    while isinstance(form, OneOf) and len(form.allowed) == 1:
        form = form.allowed[0]
    if isinstance(found, dict) and isinstance(form, dict):
        named = [f"{path}.{key} is missing, wanted {shown(form[key])}" for key in form if key not in found]
        named += [f"{path}.{key} is too much: {json.dumps(found[key])[:200]}" for key in found if key not in form]
        return (named + [place for key in form if key in found for place in places(found[key], form[key], f"{path}.{key}")])[:5]
    if isinstance(found, list) and isinstance(form, list) and len(found) == len(form):
        return [place for number, pair in enumerate(zip(found, form)) for place in places(*pair, f"{path}[{number}]")][:5]
    size = f" ({len(found)} entries, wanted {len(form)})" if isinstance(found, list) and isinstance(form, list) else ""
    return [f"{path} {json.dumps(found)[:250]}, wanted {shown(form)}{size}"]
