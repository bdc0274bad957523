//! Docker's chains, as `iptables` writes them, with a container that publishes a port. Loaded by hand: Docker itself does
//! not run in the server.

use cloudron_e2e::Server;

/// The port that the container publishes; it listens on 80 itself.
pub(crate) const PUBLISHED: u16 = 8080;

/// Docker's rules for a bridge and one published port.
const CHAINS: &str = r#"
table ip nat {
    chain DOCKER {
        iifname "docker0" return
        iifname != "docker0" tcp dport 8080 dnat to 172.30.0.2:80
    }
    chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; fib daddr type local jump DOCKER; }
    chain OUTPUT { type nat hook output priority -100; policy accept; ip daddr != 127.0.0.0/8 fib daddr type local jump DOCKER; }
    chain POSTROUTING { type nat hook postrouting priority srcnat; policy accept; ip saddr 172.30.0.0/24 oifname != "docker0" masquerade; }
}
table ip filter {
    chain DOCKER { ip daddr 172.30.0.2 iifname != "docker0" oifname "docker0" tcp dport 80 accept; }
    chain DOCKER-USER { return; }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        jump DOCKER-USER
        oifname "docker0" ct state related,established accept
        oifname "docker0" jump DOCKER
        iifname "docker0" oifname != "docker0" accept
        iifname "docker0" oifname "docker0" accept
    }
}
"#;

/// Makes the bridge and the container, with a program that listens.
pub(crate) fn container(server: &Server) {
    server.exec_ok(
        "ip link add docker0 type bridge && ip addr add 172.30.0.1/24 dev docker0 && ip link set docker0 up && \
         ip netns add app && ip link add veth0 type veth peer name eth0 netns app && \
         ip link set veth0 master docker0 up && ip -n app addr add 172.30.0.2/24 dev eth0 && \
         ip -n app link set eth0 up && ip -n app link set lo up && ip -n app route add default via 172.30.0.1 && \
         test $(cat /proc/sys/net/ipv4/ip_forward) = 1",
    );
    let listen = "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 50) or die; while (my $c = $s->accept) { close $c }";
    server.exec_with("cat >/run/app.pl", listen.as_bytes());
    server.exec_ok("systemd-run -q --unit=app ip netns exec app perl /run/app.pl");
    start(server);
}

/// Loads the chains anew, as dockerd does when it starts.
pub(crate) fn start(server: &Server) {
    server.exec_ok("nft delete table ip nat 2>/dev/null; nft delete table ip filter 2>/dev/null; true");
    let output = server.exec_with("nft -f -", CHAINS.as_bytes());
    assert_eq!(output.code, 0, "{output:?}");
}

/// Returns whether the container reaches a port of the machine on which this test runs.
pub(crate) fn reaches_out(server: &Server, port: u16) -> bool {
    let connect = "use IO::Socket::INET; exit(IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 3) ? 0 : 1)";
    server.exec(&format!("ip netns exec app perl -e '{connect}' {} {port}", server.gateway())).code == 0
}
