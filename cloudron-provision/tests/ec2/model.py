"""Checks requests and makes answers by botocore's model of Amazon's interfaces.

    model.py requests < LINES    each line {"service", "action", "parameters": {name: value}}: checked; what is wrong is printed
    model.py signatures < LINES  each line {"service", "region", "url", "headers", "body", "id", "secret"}: prints the signature
    model.py answers < LINES     each line {"service", "action"}: prints {"action", "body"} with every field of the answer
"""
import json
import sys

import botocore.auth
import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator

SESSION = botocore.session.get_session()
MODELS = {}


def operation(service, action):
    if service not in MODELS:
        MODELS[service] = SESSION.get_service_model(service)
    return MODELS[service].operation_model(action)


def wire_name(member, shape):
    """The protocol `ec2`: queryName, else the location name with a capital, else the member's name."""
    names = shape.serialization
    if "queryName" in names:
        return names["queryName"]
    name = names.get("name", member)
    return name[0].upper() + name[1:]


def nested(parameters):
    """{'A.1.B': 'x'} to {'A': {'1': {'B': 'x'}}}"""
    tree = {}
    for name, value in parameters.items():
        *folders, last = name.split(".")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise ValueError(f"{name}: is both a value and has parts")
        if last in place:
            raise ValueError(f"{name}: is there twice")
        place[last] = value
    return tree


def typed(value, shape, path):
    """The value as botocore wants it; what the model does not know is an error."""
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            raise ValueError(f"{path}: is a structure")
        members = {wire_name(member, s): (member, s) for member, s in shape.members.items()}
        out = {}
        for name, part in value.items():
            if name not in members:
                raise ValueError(f"{path}.{name}: is unknown")
            member, s = members[name]
            out[member] = typed(part, s, f"{path}.{name}")
        return out
    if shape.type_name == "list":
        if not isinstance(value, dict) or sorted(value, key=int) != [str(n + 1) for n in range(len(value))]:
            raise ValueError(f"{path}: is a list, numbered from 1")
        return [typed(value[str(n + 1)], shape.member, f"{path}.{n + 1}") for n in range(len(value))]
    if isinstance(value, dict):
        raise ValueError(f"{path}: has no parts")
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[value]
    if shape.type_name == "blob":
        import base64

        return base64.b64decode(value, validate=True)
    if shape.type_name == "string":
        if shape.enum and value not in shape.enum:
            raise ValueError(f"{path}: {value!r} is none of {shape.enum[:9]}")
        return value
    raise ValueError(f"{path}: is a {shape.type_name}")


def check(service, action, parameters):
    op = operation(service, action)
    sent = dict(parameters)
    if sent.pop("Action", None) != action:
        raise ValueError("Action is missing")
    if sent.pop("Version", None) != op.service_model.api_version:
        raise ValueError("Version is wrong")
    if op.input_shape is None:
        if sent:
            raise ValueError(f"{sorted(sent)}: are unknown")
        return
    wanted = typed(nested(sent), op.input_shape, action)
    report = ParamValidator().validate(wanted, op.input_shape)
    if report.has_errors():
        raise ValueError(report.generate_report())
    # The same parameters, as Amazon's own tools write them.
    body = create_serializer(op.service_model.metadata["protocol"]).serialize_to_request(wanted, op)["body"]
    theirs = {name: written(value) for name, value in body.items()}
    if theirs != parameters:
        raise ValueError(f"botocore sends {theirs} rather than {parameters}")


def written(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def sample(shape, depth=0):
    """An element's content, with every field."""
    if shape.type_name == "structure":
        if depth > 9:
            return ""
        parts = []
        for member, s in shape.members.items():
            name = s.serialization.get("name", member)
            parts.append(f"<{name}>{sample(s, depth + 1)}</{name}>")
        return "".join(parts)
    if shape.type_name == "list":
        name = shape.member.serialization.get("name", "member")
        return f"<{name}>{sample(shape.member, depth + 1)}</{name}>" * 2
    if shape.type_name == "timestamp":
        return "2026-11-30T12:00:00.000Z"
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else "text"
    return {"integer": "7", "long": "7", "double": "7.5", "float": "7.5", "boolean": "true"}.get(shape.type_name, "")


def answer(service, action):
    op = operation(service, action)
    inner = ""
    if op.output_shape is not None:
        inner = sample(op.output_shape)
        wrapper = op.output_shape.serialization.get("resultWrapper")
        if wrapper:
            inner = f"<{wrapper}>{inner}</{wrapper}>"
    head = f'<{action}Response xmlns="http://{service}.amazonaws.com/doc/{op.service_model.api_version}/">'
    return f"{head}<requestId>id</requestId>{inner}</{action}Response>"


def signature(asked):
    request = AWSRequest("POST", asked["url"], asked["headers"], asked["body"].encode())
    request.context["timestamp"] = asked["headers"]["x-amz-date"]
    signer = botocore.auth.SigV4Auth(Credentials(asked["id"], asked["secret"]), asked["service"], asked["region"])
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)


def main():
    wrong = 0
    for line in sys.stdin:
        asked = json.loads(line)
        if sys.argv[1] == "signatures":
            print(signature(asked))
            continue
        service, action = asked["service"], asked["action"]
        if sys.argv[1] == "answers":
            print(json.dumps({"action": action, "body": answer(service, action)}))
            continue
        try:
            check(service, action, asked["parameters"])
        except Exception as error:
            wrong += 1
            print(f"{service} {action}: {type(error).__name__}: {error}")
    sys.exit(1 if wrong else 0)


main()
