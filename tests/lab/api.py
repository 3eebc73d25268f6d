"""A plain client of the API, as thin as curl: what was sent can be shown as the curl line that sends the same."""

import http.client
import json
import shlex
from urllib.parse import urlsplit

NEWEST = "2.104"


class Answer:
    """Status, headers and body (parsed where it is JSON) of one response."""

    def __init__(self, status, headers, raw):
        self.status = status
        self.headers = headers
        self.text = raw.decode(errors="replace")
        try:
            self.body = json.loads(raw) if raw else None
        except ValueError:
            self.body = None

    @property
    def message(self):
        """The words of a fault; "" when it is none."""
        if isinstance(self.body, dict) and len(self.body) == 1:
            fault = next(iter(self.body.values()))
            if isinstance(fault, dict):
                return fault.get("message", "")
        return ""

    @property
    def request_id(self):
        return self.headers.get("X-OpenStack-Request-Id", "")


class Api:
    """Requests to one base URL with one token."""

    def __init__(self, base_url, token, version=NEWEST, token_name="$TOKEN"):
        self.base_url = base_url
        self.token = token
        self.version = version
        self.token_name = token_name  # how a printed curl line names the token

    def request(self, method, path, body=None, version=None, seconds=120):
        """Sends one request on a connection of its own. `body` is a Python value; None sends none."""
        place = urlsplit(self.base_url)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=seconds)
        headers = {"OpenStack-API-Version": f"compute {version or self.version}"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, version=None):
        return self.request("GET", path, version=version)

    def act(self, server_id, action, value=None, version=None):
        return self.request("POST", f"/v2.1/servers/{server_id}/action", {action: value}, version)

    def curl(self, method, path, body=None, version=None):
        """The same request as a line for a shell in which build/run.env was read."""
        words = ["curl -sS"]
        if method != "GET":
            words.append(f"-X {method}")
        words += [f'-H "X-Auth-Token: {self.token_name}"', f"-H 'OpenStack-API-Version: compute {version or self.version}'"]
        if body is not None:
            words += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(body))}"]
        words.append(f'"$BASE_URL{path}"')
        return " ".join(words)
