"""An answer, and what is wanted of it: the status, each header that the recorder kept, and the whole body."""

import json

import forms

HEADERS = ("Content-Type", "WWW-Authenticate", "OpenStack-API-Version", "X-OpenStack-Nova-API-Version", "Vary", "Location",
           "Allow", "X-OpenStack-Request-Id", "x-compute-request-id", "Retry-After")
REQUEST_IDS = ("X-OpenStack-Request-Id", "x-compute-request-id")
JSON, JSON_FAULT = "application/json", "application/json; charset=UTF-8"
NEWEST = 104
# A body that is no JSON is equal to no form.
NO_JSON = object()


class Answer:
    """What the daemon sent; `headers`: the names of HEADERS alone, a repeated one with all its values."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @classmethod
    def received(cls, status, headers, body):
        found = {name: headers.get_all(name) for name in HEADERS} if hasattr(headers, "get_all") else {}
        return cls(status, {name: ", ".join(values) for name, values in found.items() if values}, body)

    def document(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return NO_JSON


class Wanted:
    """The recorded response, with Decided objects where a decision says something else; no forms before freeze().

    `body` is a document when `is_json`, else the text to the byte."""

    def __init__(self, response):
        self.status, self.headers = response["status"], dict(response["headers"])
        self.is_json = response.get("body") is not None
        self.body = response["body"] if self.is_json else response.get("body_text") or ""

    def freeze(self):
        self.headers = {name: forms.form_of(value) for name, value in self.headers.items()}
        self.body = forms.form_of(self.body)
        return self

    def found_in(self, answer):
        return answer.document() if self.is_json else answer.body.decode(errors="replace")

    def is_met(self, status, headers, found):
        first, second = (headers.get(name) for name in REQUEST_IDS)
        return status == self.status and headers == self.headers and first == second and found == self.body

    def differences(self, answer):
        """What differs, in words; none: the answer is good."""
        found = self.found_in(answer)
        if self.is_met(answer.status, answer.headers, found):
            return []
        differences = [f"status {answer.status}, wanted {self.status}"] if answer.status != self.status else []
        for name in HEADERS:
            if answer.headers.get(name) != self.headers.get(name):
                differences.append(f"{name}: {answer.headers.get(name)!r}, wanted {forms.shown(self.headers.get(name))}")
        if len({answer.headers.get(name) for name in REQUEST_IDS}) > 1:
            differences.append("the two request ids are not the same")
        if found is NO_JSON:
            return [*differences, f"body {answer.body[:300]!r}, wanted {forms.shown(self.body)}"]
        return differences + forms.places(found, self.body)

    def decisions(self, answer):
        """Of a good answer: the decisions without which it would not be."""
        return forms.decisions_of(answer.headers, self.headers) | forms.decisions_of(self.found_in(answer), self.body)


def polled(status, microversion, body):
    """The response of a polled document, of which status and body are recorded: its headers are those that every recorded
    answer of a known path has."""
    minor = NEWEST if microversion == "latest" else int(microversion.split(".")[1])
    return {"status": status, "body": body,
            "headers": {"Content-Type": JSON if status == 200 else JSON_FAULT, "OpenStack-API-Version": f"compute 2.{minor}",
                        "X-OpenStack-Nova-API-Version": f"2.{minor}",
                        "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
                        **dict.fromkeys(REQUEST_IDS, "{request_id}")}}
