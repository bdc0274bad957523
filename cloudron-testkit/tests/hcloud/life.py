"""A machine's life by Hetzner's own client, against the double."""

import sys

from hcloud import APIException, Client
from hcloud.firewalls import FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

endpoint, token = sys.argv[1:3]
client = Client(token=token, api_endpoint=endpoint, poll_interval=0.01)


def refused(code, call):
    try:
        call()
    except APIException as error:
        assert error.code == code, f"{error.code}, not {code}: {error}"
        return
    raise AssertionError(f"not refused with {code}")


refused("unauthorized", Client(token="wrong", api_endpoint=endpoint).servers.get_all)

# What can be bought.
location = client.locations.get_by_name("fsn1")
assert location.network_zone == "eu-central"
kind = client.server_types.get_by_name("cx23")
assert any(offer.location.name == "fsn1" and offer.available for offer in kind.locations)
assert kind.prices[0]["price_monthly"]["net"]
assert client.images.get_by_name_and_architecture("debian-12", "x86").os_flavor == "debian"

# A key, a firewall, a network.
public = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"
key = client.ssh_keys.create(name="work", public_key=public, labels={"a": "b"})
assert client.ssh_keys.get_by_fingerprint(key.fingerprint).id == key.id
refused("uniqueness_error", lambda: client.ssh_keys.create(name="other", public_key=public))
refused("invalid_input", lambda: client.ssh_keys.create(name="bad", public_key="nothing"))
rules = [
    FirewallRule(direction="in", protocol="tcp", port="22", source_ips=["0.0.0.0/0", "::/0"], description="SSH"),
    FirewallRule(direction="in", protocol="icmp", source_ips=["0.0.0.0/0"]),
]
firewall = client.firewalls.create(name="fw", rules=rules, labels={"fqdn": "example.com"}).firewall
assert len(firewall.rules) == 2
refused("uniqueness_error", lambda: client.firewalls.create(name="fw"))
subnet = NetworkSubnet(type="cloud", ip_range="10.0.0.0/24", network_zone="eu-central")
network = client.networks.create(name="net", ip_range="10.0.0.0/16", subnets=[subnet])

# A server.
def create(name, **more):
    return client.servers.create(
        name=name,
        server_type=ServerType(name="cx23"),
        image=Image(name="debian-12"),
        location=Location(name="fsn1"),
        ssh_keys=[key],
        **more,
    )


refused("invalid_input", lambda: create("not a host name"))
refused("invalid_input", lambda: create("x", labels={"bad label": "x"}))
refused("invalid_input", lambda: create("x", user_data="x" * (33 << 10)))
response = create(
    "my.example.com",
    firewalls=[firewall],
    networks=[network],
    labels={"fqdn": "example.com"},
    user_data="#cloud-config\n{}\n",
    public_net=ServerCreatePublicNetwork(enable_ipv4=True, enable_ipv6=True),
)
assert response.root_password is None
response.action.wait_until_finished()
for action in response.next_actions:
    action.wait_until_finished()
server = client.servers.get_by_name("my.example.com")
assert server.status == "running" and server.public_net.ipv4.ip == "127.0.0.1", server.status
assert server.public_net.firewalls[0].firewall.id == firewall.id
assert server.private_net[0].network.id == network.id
refused("uniqueness_error", lambda: create("my.example.com"))
refused("resource_in_use", firewall.delete)

# Labels and lists.
server.update(labels={"fqdn": "example.com", "run": "2"})
assert [s.id for s in client.servers.get_all(label_selector="fqdn==example.com,run in (1,2)")] == [server.id]
assert client.servers.get_all(label_selector="!fqdn") == []
refused("invalid_input", lambda: client.servers.get_all(label_selector="?"))
others = [client.networks.create(name=f"n{n}", ip_range="10.1.0.0/24") for n in range(60)]
assert len(client.networks.get_all()) == 61
page = client.networks.get_list(page=2, per_page=25)
assert (len(page.networks), page.meta.pagination.total_entries, page.meta.pagination.next_page) == (25, 61, 3)
for other in others:
    other.delete()

# Its life, and its end.
server.change_dns_ptr(server.public_net.ipv4.ip, "my.example.com").wait_until_finished()
server.power_off().wait_until_finished()
assert client.servers.get_by_id(server.id).status == "off"
server.power_on().wait_until_finished()
server.change_protection(delete=True).wait_until_finished()
refused("protected", server.delete)
server.change_protection(delete=False).wait_until_finished()
selector = FirewallResourceLabelSelector(selector="fqdn")
target = FirewallResource(type=FirewallResource.TYPE_LABEL_SELECTOR, label_selector=selector)
for action in firewall.apply_to_resources([target]) + firewall.remove_from_resources([target]):
    action.wait_until_finished()
server.delete().wait_until_finished()
while client.servers.get_all():
    pass
refused("not_found", lambda: client.servers.get_by_id(server.id))
firewall.delete()
network.delete()
key.delete()
assert client.firewalls.get_all() == client.networks.get_all() == client.ssh_keys.get_all() == []
print("done")
