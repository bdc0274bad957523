//! What somebody else made is neither used nor removed, whatever its name.

use cloudron_provision::cloud::Marks;
use cloudron_provision::codes;
use serde_json::{Value, json};

use crate::bench::{Bench, FQDN};

#[test]
fn two_who_create_the_same_machine_get_one() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    let before = (bench.cloud.resources(), bench.cloud.objects("droplets"));
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN) && error.kind().exit_code() == 5, "{error:?}");
    assert_eq!((bench.cloud.resources(), bench.cloud.objects("droplets")), before);
}

#[test]
fn of_two_runs_at_one_moment_one_makes_the_machine() {
    // The other run does all of its work at a call of this one.
    for number in 1..=8 {
        let bench = Bench::new();
        let home = bench.home();
        if bench.create_until(home.path(), (number, true)).is_some() {
            break;
        }
        let other = bench.create(bench.home().path());
        let first = bench.resume_or_create(home.path());
        let made = [first.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count();
        assert!(made == 1, "{number}: {first:?} {other:?}");
        // A key that the other one used is removed with the run that had added it.
        let count = |kind: &str| bench.cloud.objects(kind).len();
        assert_eq!((count("droplets"), count("firewalls"), count("tags")), (1, 1, 2), "{number}");
        bench.destroy().unwrap();
        assert_eq!(bench.cloud.resources(), [""; 0], "{number}");
    }
}

impl Bench {
    fn resume_or_create(&self, home: &std::path::Path) -> cloudron_core::Result<()> {
        let begun = cloudron_provision::Runner::new(home).unfinished(None)?;
        if begun.is_empty() { self.create(home).map(drop) } else { self.resume(home).map(drop) }
    }

    fn theirs(&self, path: &str, body: &Value) {
        let answer = self.cloud.put("POST", path, body);
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }
}

fn droplet(name: &str, tags: &[String]) -> Value {
    let key = cloudron_provision::cloud::OneTimeKey::generate();
    let user_data = cloudron_provision::cloud::cloud_config(&key, &[], 32 << 10).unwrap().expose().to_owned();
    json!({ "name": name, "size": "s-1vcpu-2gb", "image": "debian-12-x64", "tags": tags, "user_data": user_data })
}

fn firewall(name: &str, tags: &[String]) -> Value {
    let rule = json!({ "protocol": "tcp", "ports": "0", "destinations": { "addresses": ["0.0.0.0/0"] } });
    json!({ "name": name, "outbound_rules": [rule], "tags": tags })
}

#[test]
fn what_is_not_ours_is_left_whatever_its_name() {
    let bench = Bench::new();
    bench.theirs("/droplets", &droplet(&format!("my.{FQDN}"), &[]));
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    assert_eq!(bench.cloud.resources(), [format!("droplets my.{FQDN}")]);
    assert_eq!(bench.destroy().unwrap(), []);
    // Neither are names that look like ours: a firewall that is bound to no machine, and a key of another hash.
    bench.theirs("/firewalls", &firewall(&format!("cloudron-{FQDN}"), &[]));
    let run = ulid::Ulid::generate().to_string().to_lowercase();
    let name = format!("cloudron-{FQDN}-{run}-0123456789ab");
    bench.theirs("/account/keys", &json!({ "name": name, "public_key": bench.settings.public_key }));
    assert_eq!(bench.destroy().unwrap(), []);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    assert_eq!(bench.cloud.resources().len(), 3);
}

#[test]
fn another_machine_in_the_account_is_left_even_if_its_name_begins_alike() {
    let bench = Bench::new();
    let run = ulid::Ulid::generate().to_string();
    let mut left = Vec::new();
    for fqdn in [format!("x.{FQDN}"), "example.com".into(), format!("{FQDN}.net")] {
        let tags = Marks::new(fqdn.clone(), &run).unwrap().to_words().unwrap();
        bench.theirs("/droplets", &droplet(&format!("my.{fqdn}"), &tags));
        bench.theirs("/firewalls", &firewall(&format!("cloudron-{fqdn}"), &tags));
        left.push(fqdn);
    }
    let before = bench.cloud.resources();
    bench.create(bench.home().path()).unwrap();
    assert_eq!(bench.destroy().unwrap().len(), 4);
    assert_eq!(bench.cloud.resources(), before);
}

#[test]
fn a_firewall_that_others_use_too_is_left_and_said() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    bench.theirs("/droplets", &droplet("theirs", &["web".into()]));
    let id = bench.cloud.objects("firewalls")[0]["id"].as_str().unwrap().to_owned();
    bench.theirs(&format!("/firewalls/{id}/tags"), &json!({ "tags": ["web"] }));
    let error = bench.destroy().unwrap_err();
    assert!(error.is(&codes::UNDO_FAILED) && error.message().contains("other droplets"), "{error:?}");
    assert_eq!(bench.cloud.objects("firewalls").len(), 1);
    // Once nobody else uses it, it goes.
    assert_eq!(bench.cloud.put("DELETE", "/tags/web", &json!({})).status, 204);
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), ["droplets theirs"]);
}

#[test]
fn an_address_that_somebody_else_reserved_is_left() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    let id = bench.cloud.objects("droplets")[0]["id"].clone();
    bench.theirs("/reserved_ips", &json!({ "droplet_id": id }));
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), ["reserved_ips 127.0.0.1"]);
}

#[test]
fn an_address_that_somebody_else_gave_to_the_machine_in_place_of_its_own_is_left() {
    let mut bench = Bench::new();
    bench.settings.reserved_ip = true;
    bench.create(bench.home().path()).unwrap();
    let id = bench.cloud.objects("droplets")[0]["id"].clone();
    // The first one is taken off, and stays in the account.
    bench.theirs("/reserved_ips", &json!({ "droplet_id": id }));
    let tags = bench.cloud.objects("droplets")[0]["tags"].clone();
    // A look at the machine does not make the address ours.
    let error = bench.take_over().unwrap_err();
    assert!(error.is(&codes::SSH_REFUSED), "{error:?}");
    assert_eq!(bench.cloud.objects("droplets")[0]["tags"], tags);
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), ["reserved_ips 127.0.0.1", "reserved_ips 127.0.0.2"]);
}

#[test]
fn a_mark_that_is_there_twice_is_none() {
    let bench = Bench::new();
    let word = |fqdn: &str| Marks::new(fqdn, &ulid::Ulid::nil().to_string()).unwrap().machine_word().unwrap();
    bench.theirs("/droplets", &droplet("two", &[word(FQDN), word("example.org")]));
    assert!(bench.inventory().iter().all(|item| item.kind == "tag"));
}
