//! The README's block about a machine over SSH, typed in order.

use std::fs;

use cloudron_e2e::{Cloudron, Server, available};

use super::scene::BACKUP_KEY;

/// The two addresses in the README.
const ADDRESSES: [&str; 2] = ["203.0.113.7", "203.0.113.9"];

/// Returns the commands of the block that contains the first address.
fn commands() -> Vec<String> {
    let readme = include_str!("../../../README.md").replace("\\\n", " ");
    let mut blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.find(|block| block.contains(&format!("--ip {}", ADDRESSES[0]))).unwrap();
    let command = |line: &str| line.split("  #").next().unwrap().trim().to_owned();
    block.lines().map(command).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_block_of_the_readme_about_a_machine_over_ssh_works_in_order() {
    if !available() {
        return;
    }
    let laptop = Cloudron::new();
    let servers = [Server::boot("readme-1"), Server::boot("readme-2")];
    let key = servers[0].key_path();
    let public = fs::read(key.with_extension("pub")).unwrap();
    servers[1].exec_with("cat >>/root/.ssh/authorized_keys", &public);
    // The host keys that the user has accepted before.
    let known: Vec<String> = servers
        .iter()
        .map(|server| format!("{} {}", server.ip(), server.exec_ok("cat /etc/ssh/ssh_host_ed25519_key.pub")))
        .collect();
    fs::create_dir(laptop.home().join(".ssh")).unwrap();
    fs::write(laptop.home().join(".ssh/known_hosts"), known.concat()).unwrap();
    let backup_key = laptop.secret("backup-key", BACKUP_KEY);
    servers[0].exec_ok("echo picture >/srv/today.jpg");

    let all = commands();
    assert_eq!(all.len(), 7, "{all:#?}");
    for command in &all {
        let command = command
            .replace(ADDRESSES[0], &servers[0].ip())
            .replace(ADDRESSES[1], &servers[1].ip())
            .replace("~/.ssh/id_ed25519", &key.display().to_string())
            .replace("/mnt/disk", &laptop.place("disk").display().to_string());
        let mut words: Vec<&str> = command.split_whitespace().skip(1).collect();
        if words[1] == "create" {
            // No name server is queried here, and the key is not typed.
            words.extend(["--dns", "none", "--backup-key", &backup_key]);
        }
        laptop.ok(&words);
    }
    assert_eq!(servers[1].exec_ok("cat /srv/today.jpg"), "picture\n");
}
