//! Peculiarities of real servers.

use std::net::TcpListener;
use std::time::Duration;

use cloudron_box::firewall::Policy;
use cloudron_box::quirks::{Questions, look};
use cloudron_e2e::{Server, available};

use crate::host::Inside;
use crate::{docker, reach};

fn found(server: &Server, questions: &Questions) -> Vec<String> {
    let found = look(&Inside::of(server), questions).unwrap();
    for finding in &found {
        assert!(!finding.why.is_empty() && !finding.remedy.is_empty(), "{finding}");
    }
    // The clock and the memory are those of the machine that this test runs on.
    found
        .iter()
        .map(|f| f.code.to_string())
        .filter(|c| !["clock", "memory-small", "swap-missing"].contains(&&**c))
        .collect()
}

#[test]
fn what_is_peculiar_about_a_server_is_found_and_explained() {
    if !available() {
        return;
    }
    let server = Server::boot("quirks");
    let none = Questions::default();
    assert_eq!(found(&server, &none), [""; 0]);

    // A mail server that answers, and one whose packets are dropped.
    let mail = TcpListener::bind("0.0.0.0:0").unwrap();
    let open = format!("{}:{}", server.gateway(), mail.local_addr().unwrap().port()).parse().unwrap();
    let blocked = "10.255.255.1:25".parse().unwrap();
    server.exec_ok("nft 'add table ip cloud; add chain ip cloud out { type filter hook output priority 0; }; add rule ip cloud out tcp dport 25 drop'");
    let ask = |servers: &[std::net::SocketAddr]| {
        Questions::default().mail_servers(servers.to_vec()).limit(Duration::from_secs(2))
    };
    assert_eq!(found(&server, &ask(&[blocked])), ["mail-port-blocked"]);
    assert_eq!(found(&server, &ask(&[blocked, open])), [""; 0]);
    server.exec_ok("nft delete table ip cloud");

    docker::container(&server);
    assert_eq!(found(&server, &none), ["docker-chains"]);
    reach::put_in_force(&server, &Policy::new([22]));
    assert_eq!(found(&server, &none), [""; 0], "our table judges before Docker does");

    server.exec_ok("mkdir -p /etc/ufw && echo ENABLED=yes >/etc/ufw/ufw.conf; systemctl disable -q --now ssh.service; systemctl enable -q --now ssh.socket");
    assert_eq!(found(&server, &none), ["ufw-active", "ssh-socket"]);
    server.exec_ok("rm -r /etc/ufw; chmod a-x /usr/sbin/nft; mv /usr/sbin/nft /usr/sbin/nft.away");
    assert_eq!(found(&server, &none), ["nftables-missing", "ssh-socket"]);

    let server = Server::boot_without_ipv6("quirks-4");
    assert_eq!(found(&server, &none), ["ipv6-off"]);
}
