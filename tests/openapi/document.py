"""The OpenAPI document, read for one microversion at a time: which operation a request is, and whether an answer or a body is
what it says. How it tells microversions stands in its own description."""

import re
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

TOP = Path(__file__).resolve().parents[2]
PATH = TOP / "openapi" / "openapi.yaml"
LAST_MINOR = 104
METHODS = ("get", "post", "put", "delete")


def minors(part, outer=(1, LAST_MINOR)):
    """The first and last minor of what has an x-openstack, or that of what encloses it."""
    told = part.get("x-openstack", {})
    minor = lambda text, without: int(text.split(".")[1]) if text else without
    return minor(told.get("min-ver"), outer[0]), minor(told.get("max-ver"), outer[1])


def holds(part, minor):
    if not isinstance(part, dict):
        return True
    first, last = minors(part)
    return first <= minor <= last


def may_be_no_operation(method, target, status):
    """Answers to what the document does not have: refusals, the choice of versions, and what Nova answers whatever the method."""
    path = target.split("?")[0].rstrip("/")
    return status in (300, 400, 401, 404, 406, 413) or (status == 200 and (method == "OPTIONS" or path in ("", "/v2", "/v2.1")))


class Document:
    def __init__(self, path=PATH):
        self.tree = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.paths = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", template)), template.count("{"), template)
                      for template in self.tree["paths"]]
        self.validators = {}

    def resolve(self, reference):
        part = self.tree
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
        return part

    def at(self, schema, minor):
        """The schema as it is at a microversion, without references."""
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self.at(self.resolve(schema["$ref"]), minor)
        result = {}
        for key, value in schema.items():
            if key == "properties":
                result[key] = {name: self.at(part, minor) for name, part in value.items() if holds(part, minor)}
            elif key in ("anyOf", "oneOf", "allOf"):
                result[key] = [self.at(part, minor) for part in value if holds(part, minor)]
            elif key == "required":
                gone = {name for name, part in schema.get("properties", {}).items() if not holds(part, minor)}
                result[key] = [name for name in value if name not in gone]
            elif key in ("items", "additionalProperties"):
                result[key] = self.at(value, minor)
            elif not key.startswith("x-"):
                result[key] = value
        return result

    def find(self, method, target):
        """(template, operation) of a request; (None, None): it is none of the document's."""
        path = re.sub("/+", "/", target.split("?")[0])
        path = "/v2.1/" if re.fullmatch(r"/v2\.1(/[0-9a-f-]+)?/?", path) else path
        shorter = re.sub(r"^/v2\.1/[0-9a-f-]+/", "/v2.1/", path)
        for one in dict.fromkeys((path, shorter)):
            found = sorted((count, template) for pattern, count, template in self.paths if pattern.fullmatch(one))
            for _, template in found:
                if method.lower() in self.tree["paths"][template]:
                    return template, self.tree["paths"][template][method.lower()]
                break
        return None, None

    def validator(self, key, schema, minor):
        if (key, minor) not in self.validators:
            effective = self.at(schema, minor)
            Draft202012Validator.check_schema(effective)
            self.validators[key, minor] = Draft202012Validator(effective)
        return self.validators[key, minor]

    def headers(self, operation, status):
        """The names of the headers that an answer of that status has."""
        answer = operation["responses"][str(status)]
        if "$ref" in answer:
            answer = self.resolve(answer["$ref"])
        return answer.get("headers", {})

    def response_schema(self, operation, status):
        """(whether the status is listed, the schema of its body or None)"""
        answer = operation["responses"].get(str(status))
        if answer is None:
            return False, None
        if "$ref" in answer:
            answer = self.resolve(answer["$ref"])
        return True, answer.get("content", {}).get("application/json", {}).get("schema")

    def problems_of_response(self, method, target, status, headers, body):
        """What is not as the document says, in words. `body` is parsed; None: there is none."""
        template, operation = self.find(method, target)
        if operation is None:
            return [] if may_be_no_operation(method, target, status) else [f"status {status} of {method}, which is no operation"]
        is_listed, schema = self.response_schema(operation, status)
        if not is_listed:
            return [f"{template}: status {status} is not listed"]
        version = headers.get("X-OpenStack-Nova-API-Version")
        minor = int(version.split(".")[1]) if version and status != 406 else 1
        first, last = minors(operation)
        if status < 400 and not first <= minor <= last:
            return [f"{template}: answered at 2.{minor}, at which it is not"]
        missing = [name for name in self.headers(operation, status) if not headers.get(name)]
        if missing:
            return [f"{template}: status {status} without {', '.join(missing)}"]
        if schema is None:
            return [] if body is None else [f"{template}: a body where there is to be none"]
        if body is None:
            return [f"{template}: no body"]
        validator = self.validator((template, method, status), schema, minor)
        return [f"{template} at 2.{minor}: {'.'.join(map(str, fault.absolute_path))}: {fault.message[:300]}"
                for fault in validator.iter_errors(body)]

    def takes_body(self, method, target, minor, body):
        """Whether the document has that body for that request."""
        template, operation = self.find(method, target)
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        return content is not None and self.validator((template, method, "body"), content["schema"], minor).is_valid(body)
