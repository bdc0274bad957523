"""A machine's life by DigitalOcean's own client, against the double."""

import sys

from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import _authentication
from pydo import Client

endpoint, token = sys.argv[1:3]
# The client sends a token by https only; the double is on loopback.
_authentication._enforce_https = lambda request: None
client = Client(token, endpoint=endpoint, retry_total=0)


def failed(call):
    """Returns the status and the answer of a call that fails."""
    try:
        answer = call()
    except HttpResponseError as error:
        return error.status_code, error.message or ""
    # The client returns some refusals as if they were answers.
    if isinstance(answer, dict) and "id" in answer and "message" in answer:
        return {"not_found": 404, "unauthorized": 401}.get(answer["id"].lower(), answer["id"]), answer["message"]
    return 200, str(answer)


def refused(status, call, message=""):
    got, text = failed(call)
    assert got == status and message in text, f"{got} {text}, not {status} {message}"


def awaited(action):
    while client.actions.get(action)["action"]["status"] == "in-progress":
        pass
    assert client.actions.get(action)["action"]["status"] == "completed"


refused(401, Client("wrong", endpoint=endpoint, retry_total=0).account.get)
assert client.account.get()["account"]["status"] == "active"

# What can be bought.
sizes = client.sizes.list(per_page=200)["sizes"]
size = next(s for s in sizes if s["slug"] == "s-1vcpu-2gb")
assert size["price_monthly"] == 12 and "fra1" in size["regions"] and size["available"]
assert any(r["slug"] == "fra1" and r["available"] for r in client.regions.list()["regions"])
assert client.images.get("debian-12-x64")["image"]["distribution"] == "Debian"

# A key, a tag, a firewall.
public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"
key = client.ssh_keys.create({"name": "work", "public_key": public})["ssh_key"]
assert client.ssh_keys.get(key["fingerprint"])["ssh_key"]["id"] == key["id"]
refused(422, lambda: client.ssh_keys.create({"name": "other", "public_key": public}), "already in use")
refused(422, lambda: client.ssh_keys.create({"name": "bad", "public_key": "nothing"}))
everywhere = {"addresses": ["0.0.0.0/0", "::/0"]}
firewall = {
    "name": "fw",
    "inbound_rules": [
        {"protocol": "tcp", "ports": "22", "sources": everywhere},
        {"protocol": "icmp", "ports": "0", "sources": everywhere},
    ],
    "outbound_rules": [{"protocol": "tcp", "ports": "0", "destinations": everywhere}],
    "tags": ["fqdn:example_com"],
}
refused(422, lambda: client.firewalls.create(firewall), "does not exist")
refused(422, lambda: client.tags.create({"name": "with.dot"}))
client.tags.create({"name": "fqdn:example_com"})
made = client.firewalls.create(firewall)["firewall"]
assert made["status"] == "waiting" and made["tags"] == ["fqdn:example_com"]
refused(409, lambda: client.firewalls.create(firewall), "duplicate name")
assert client.firewalls.get(made["id"])["firewall"]["status"] == "succeeded"

# A droplet.
wanted = {
    "name": "my.example.com",
    "region": "fra1",
    "size": "s-1vcpu-2gb",
    "image": "debian-12-x64",
    "ssh_keys": [key["id"]],
    "ipv6": True,
    "monitoring": False,
    "with_droplet_agent": False,
    "tags": ["fqdn:example_com", "run:1"],
    "user_data": "#cloud-config\n{}\n",
}
refused(422, lambda: client.droplets.create({**wanted, "name": "not a host name"}))
refused(422, lambda: client.droplets.create({**wanted, "size": "s-99"}))
refused(422, lambda: client.droplets.create({**wanted, "user_data": "x" * (65 << 10)}))
refused(422, lambda: client.droplets.create({**wanted, "ssh_keys": [7]}), "key identifiers")
refused(422, lambda: client.droplets.create({**wanted, "colour": "red"}), "unknown")
answer = client.droplets.create(wanted)
droplet, action = answer["droplet"]["id"], answer["links"]["actions"][0]["id"]
assert answer["droplet"]["status"] == "new" and answer["droplet"]["networks"]["v4"] == []
awaited(action)
shown = client.droplets.get(droplet)["droplet"]
public = [n["ip_address"] for n in shown["networks"]["v4"] if n["type"] == "public"]
assert shown["status"] == "active" and public == ["127.0.0.1"] and shown["networks"]["v6"]
assert [d["id"] for d in client.droplets.list(tag_name="run:1")["droplets"]] == [droplet]
assert [d["id"] for d in client.droplets.list(name="MY.example.com")["droplets"]] == [droplet]
assert client.droplets.list(name="other")["droplets"] == []

# Tags and pages.
refused(404, lambda: client.tags.assign_resources("none", {"resources": []}))
client.tags.create({"name": "key:2"})
resources = {"resources": [{"resource_id": str(droplet), "resource_type": "droplet"}]}
client.tags.assign_resources("key:2", resources)
assert "key:2" in client.droplets.get(droplet)["droplet"]["tags"]
client.tags.unassign_resources("key:2", resources)
client.tags.delete("run:1")
assert client.droplets.get(droplet)["droplet"]["tags"] == ["fqdn:example_com"]
assert client.tags.get("fqdn:example_com")["tag"]["resources"]["droplets"]["count"] == 1
for n in range(60):
    client.tags.create({"name": f"n{n}"})
page = client.tags.list(per_page=25, page=2)
assert (len(page["tags"]), page["meta"]["total"]) == (25, 62) and page["links"]["pages"]["next"]
for n in range(60):
    client.tags.delete(f"n{n}")

# A reserved address.
address = client.reserved_ips.create({"droplet_id": droplet})
refused(422, lambda: client.reserved_ips.create({"droplet_id": droplet}), "pending event")
refused(422, lambda: client.droplets.destroy(droplet), "pending event")
awaited(address["links"]["actions"][0]["id"])
ip = address["reserved_ip"]["ip"]
assert client.reserved_ips.get(ip)["reserved_ip"]["droplet"]["id"] == droplet
awaited(client.reserved_ips_actions.post(ip, {"type": "unassign"})["action"]["id"])
assert client.reserved_ips.get(ip)["reserved_ip"]["droplet"] is None

# The records of a domain.
client.domains.create({"name": "example.com"})
refused(422, lambda: client.domains.create({"name": "example.com"}))
record = client.domains.create_record("example.com", {"type": "A", "name": "my", "data": "192.0.2.1", "ttl": 300})
number = record["domain_record"]["id"]
client.domains.update_record("example.com", number, {"type": "A", "name": "my", "data": "192.0.2.2", "ttl": 60})
assert client.domains.get_record("example.com", number)["domain_record"]["data"] == "192.0.2.2"
assert client.domains.list_records("example.com", type="A")["meta"]["total"] == 1
client.domains.delete_record("example.com", number)
client.domains.delete("example.com")

# Its life, and its end.
awaited(client.droplet_actions.post(droplet, {"type": "power_off"})["action"]["id"])
assert client.droplets.get(droplet)["droplet"]["status"] == "off"
client.droplets.destroy(droplet)
while client.droplets.list()["droplets"]:
    pass
refused(404, lambda: client.droplets.get(droplet))
client.reserved_ips.delete(ip)
client.firewalls.delete(made["id"])
client.ssh_keys.delete(key["id"])
for tag in client.tags.list()["tags"]:
    client.tags.delete(tag["name"])
print("done")
