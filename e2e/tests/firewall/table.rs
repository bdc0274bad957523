//! What the table lets through, over boots and restarts of Docker.

use std::net::TcpListener;

use cloudron_box::firewall::{self, Change, From, Policy, Ports, Protocol};
use cloudron_e2e::{Server, available};

use crate::docker::{self, PUBLISHED};
use crate::host::Inside;
use crate::reach::{self, echoes, listeners, put_in_force, scan};

#[test]
fn only_the_ports_of_the_policy_are_open_whatever_listens_or_is_published_and_after_every_boot() {
    if !available() {
        return;
    }
    let server = Server::boot("firewall");
    let host = Inside::of(&server);
    listeners(&server);
    docker::container(&server);
    let outside = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    assert_eq!(scan(&server), [22, 80, 443, 993, 3306, PUBLISHED, 9000], "without a firewall");
    assert!(echoes(&server, 3478) && docker::reaches_out(&server, port));

    let policy = Policy::new([22]);
    put_in_force(&server, &policy);
    assert_eq!(scan(&server), [22, 80, 443]);
    assert!(!echoes(&server, 3478) && !echoes(&server, 5353));
    assert!(docker::reaches_out(&server, port), "what a container begins is passed on");
    // The server's own loopback and its own way out.
    assert_eq!(
        server.exec("perl -MIO::Socket::INET -e 'IO::Socket::INET->new(\"127.0.0.1:3306\") or exit 1'").code,
        0
    );

    // What is published is judged by the port that is published; home is a network.
    let home = server.gateway().parse().unwrap();
    let open = |port| Ports::one(port).unwrap();
    let wide = policy
        .clone()
        .with_home(home)
        .with_opening(Protocol::Tcp, open(PUBLISHED), From::Anywhere)
        .with_opening(Protocol::Tcp, open(993), From::Home)
        .with_opening(Protocol::Udp, open(3478), From::Home);
    firewall::extend(&host, &wide).unwrap();
    assert_eq!(scan(&server), [22, 80, 443, 993, PUBLISHED]);
    assert!(echoes(&server, 3478) && !echoes(&server, 5353));
    let mut elsewhere = wide.clone();
    elsewhere.home = ["198.51.100.0/24".parse().unwrap()].into();
    put_in_force(&server, &elsewhere);
    assert_eq!(scan(&server), [22, 80, 443, PUBLISHED]);

    put_in_force(&server, &policy);
    docker::start(&server);
    assert_eq!(scan(&server), [22, 80, 443], "after Docker was started again");
    server.exec_ok("systemctl start nftables && systemctl restart nftables && systemctl reload nftables");
    docker::start(&server);
    assert_eq!(scan(&server), [22, 80, 443], "after Debian's own unit has flushed everything");
    server.reboot();
    assert!(firewall::look(&host).unwrap().drift.is_empty());
    docker::container(&server);
    assert_eq!(scan(&server), [22, 80, 443], "after a boot");
    assert!(docker::reaches_out(&server, port));
    assert_eq!(server.exec("systemctl is-active cloudron-firewall").stdout, "active\n");

    // Nothing is left after a removal.
    firewall::remove(&host).unwrap();
    server.exec_ok("nft flush ruleset");
    assert_eq!(scan(&server), [22, 80, 443, 993, 3306, 9000]);
}

#[test]
fn ipv6_has_the_same_ports_and_its_neighbours_are_still_found() {
    if !available() {
        return;
    }
    let server = Server::boot("firewall-6");
    listeners(&server);
    let open = |ports: &[u16]| -> Vec<u16> {
        // The bridge of this machine asks anew where the server is.
        server.exec_ok("ip -6 neigh flush dev eth0");
        let flushed =
            std::process::Command::new("ip").args(["-6", "neigh", "flush", "dev", "docker0"]).status();
        assert!(flushed.unwrap().success());
        ports.iter().copied().filter(|port| reach::accepts_ipv6(&server, *port)).collect()
    };
    assert_eq!(open(&[22, 80, 3306, 9000]), [22, 80, 3306, 9000]);
    put_in_force(&server, &Policy::new([22]));
    assert_eq!(open(&[22, 80, 3306, 9000]), [22, 80]);
}

#[test]
fn what_is_changed_behind_the_firewalls_back_is_found_and_mended() {
    if !available() {
        return;
    }
    let server = Server::boot("drift");
    let host = Inside::of(&server);
    assert_eq!(firewall::look(&host).unwrap().policy, None);
    put_in_force(&server, &Policy::new([22]));
    let state = firewall::look(&host).unwrap();
    assert!(state.drift.is_empty() && state.in_force && !state.file_changed, "{state:?}");
    server.exec_ok("nft insert rule inet cloudron input tcp dport 3306 accept");
    let state = firewall::look(&host).unwrap();
    assert_eq!(state.drift, [Change::Added("tcp dport 3306 accept".into())]);
    firewall::load(&host).unwrap();
    assert!(firewall::look(&host).unwrap().drift.is_empty());
    // What it remembers of callers is no difference.
    assert!(server.greets(22) && server.greets(22));
    assert!(firewall::look(&host).unwrap().drift.is_empty());
    server.exec_ok("nft flush chain inet cloudron refused; nft flush chain inet cloudron input");
    let state = firewall::look(&host).unwrap();
    assert!(
        state.drift.iter().all(|c| matches!(c, Change::Missing(_))) && state.drift.len() > 9,
        "{state:?}"
    );
    server.exec_ok("nft flush ruleset");
    assert!(!firewall::look(&host).unwrap().in_force);
    firewall::load(&host).unwrap();
    server.exec_ok("sed -i 's/443/444/' /etc/cloudron-firewall/rules.nft");
    let state = firewall::look(&host).unwrap();
    assert!(state.file_changed && !state.drift.is_empty(), "{state:?}");
}

#[test]
fn who_begins_too_many_ssh_connections_waits_and_the_others_do_not() {
    if !available() {
        return;
    }
    let server = Server::boot("rate");
    put_in_force(&server, &Policy::new([22]));
    let answered = (0..60).filter(|_| {
        let limit = std::time::Duration::from_millis(300);
        std::net::TcpStream::connect_timeout(&server.address(22), limit).is_ok()
    });
    let answered = answered.count();
    assert!((20..=45).contains(&answered), "{answered} of 60");
    // Another address is not limited: here the server itself, from its own address on another interface.
    server.exec_ok(
        "ip netns add other && ip link add o0 type veth peer name eth0 netns other && ip addr add 10.9.0.1/24 dev o0 && \
         ip link set o0 up && ip -n other addr add 10.9.0.2/24 dev eth0 && ip -n other link set eth0 up",
    );
    let connect = "use IO::Socket::INET; exit(IO::Socket::INET->new(PeerAddr => \"10.9.0.1\", PeerPort => 22, Timeout => 3) ? 0 : 1)";
    assert_eq!(server.exec(&format!("ip netns exec other perl -e '{connect}'")).code, 0);
}
