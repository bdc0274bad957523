//! Names of users and groups.

use std::collections::HashMap;
use std::path::Path;

use rustix::fs::Gid;

/// The names in the machine's own files. Directory services such as LDAP are not queried: a restore at first
/// boot cannot reach them either.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    uids: HashMap<String, u32>,
    gids: HashMap<String, u32>,
}

impl Owners {
    pub(crate) fn of_this_machine() -> Self {
        let (users, uids) = read(Path::new("/etc/passwd"));
        let (groups, gids) = read(Path::new("/etc/group"));
        Self { users, groups, uids, gids }
    }

    pub(crate) fn user(&self, uid: u32) -> Option<&str> {
        self.users.get(&uid).map(String::as_str)
    }

    pub(crate) fn group(&self, gid: u32) -> Option<&str> {
        self.groups.get(&gid).map(String::as_str)
    }

    /// Returns the local id of a user: by name, else the original number.
    pub(crate) fn uid(&self, name: Option<&str>, number: u32) -> u32 {
        name.and_then(|n| self.uids.get(n)).copied().unwrap_or(number)
    }

    /// Returns the local id of a group: by name, else the original number.
    pub(crate) fn gid(&self, name: Option<&str>, number: u32) -> u32 {
        name.and_then(|n| self.gids.get(n)).copied().unwrap_or(number)
    }
}

/// The groups that this process may give its files to.
#[derive(Debug, Default)]
pub(crate) struct Rights(Vec<Gid>);

impl Rights {
    pub(crate) fn of_this_process() -> Self {
        let mut groups = rustix::process::getgroups().unwrap_or_default();
        groups.push(rustix::process::getegid());
        Self(groups)
    }

    pub(crate) fn has(&self, group: Gid) -> bool {
        self.0.contains(&group)
    }
}

/// Parses `name:password:number:…` lines. The first of several entries wins, as in the system.
fn read(file: &Path) -> (HashMap<u32, String>, HashMap<String, u32>) {
    let (mut names, mut numbers) = (HashMap::new(), HashMap::new());
    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        let Ok(number) = number.parse::<u32>() else { continue };
        names.entry(number).or_insert_with(|| name.to_owned());
        numbers.entry(name.to_owned()).or_insert(number);
    }
    (names, numbers)
}
