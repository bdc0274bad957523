//! The keys with which a user may log in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::host::{Host, brief, try_run};
use crate::{Error, Result, codes};

/// Kinds of keys that OpenSSH 8.8 and later accept. The older signatures of `ssh-rsa` are replaced by those with SHA-2.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Options after which a key gives no shell, or may not be valid any more.
const RESTRICTED: [&str; 4] = ["command=", "cert-authority", "expiry-time=", "no-pty"];

/// Maximum number of files that are looked at.
const FILES: usize = 8;

/// Returns the kinds of the keys with which a user gets a shell, as far as they are in files that the SSH server reads and
/// trusts.
///
/// # Errors
/// `usage` if the name is none; `ssh-lockout` if there is no such user; `ssh-settings` if the server cannot tell its
/// settings.
pub fn accepted(host: &dyn Host, user: &str) -> Result<Vec<String>> {
    let usual = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !(1..=32).contains(&user.len()) || user.starts_with('-') || !user.bytes().all(usual) {
        return Err(Error::new(
            &cloudron_core::codes::USAGE,
            format!("`{}` is no name of a user", brief(user)),
        ));
    }
    let entry = try_run(host, "getent", &["passwd", user])?;
    let entry: Vec<&str> = entry.stdout.trim_end().split(':').collect();
    let [_, _, uid, _, _, home, _] = entry[..] else {
        return Err(
            Error::new(&codes::SSH_LOCKOUT, format!("there is no user {user}")).with_detail("user", user)
        );
    };
    let mut kinds = Vec::new();
    for file in files(host, user, uid, home)? {
        if is_trusted(host, uid, home, &file)? {
            let text = host.read(std::path::Path::new(&file))?.unwrap_or_default();
            kinds.extend(text.lines().filter_map(kind).map(str::to_owned));
        }
    }
    Ok(kinds)
}

/// Returns the files in which the server looks for a user's keys.
fn files(host: &dyn Host, user: &str, uid: &str, home: &str) -> Result<Vec<String>> {
    let connection = format!("user={user},host=localhost,addr=127.0.0.1");
    let output = try_run(host, "/usr/sbin/sshd", &["-T", "-C", &connection])?;
    if !output.is_success() {
        let text = format!("the SSH server does not tell its settings: {}", brief(&output.stderr));
        return Err(Error::new(&codes::SSH_SETTINGS, text));
    }
    let line = output.stdout.lines().find_map(|line| line.strip_prefix("authorizedkeysfile "));
    let names = line.unwrap_or(".ssh/authorized_keys").split_whitespace();
    let full = |name: &str| {
        // `%%` is a percent sign; a name that needs one is not worth the trouble.
        let name = name.replace("%h", home).replace("%u", user).replace("%U", uid);
        if name.starts_with('/') { name } else { format!("{home}/{name}") }
    };
    Ok(names.filter(|name| *name != "none").take(FILES).map(full).collect())
}

/// Returns whether the server trusts the file: nobody but the user and root may write it, its folder or the home folder.
fn is_trusted(host: &dyn Host, uid: &str, home: &str, file: &str) -> Result<bool> {
    let folder = file.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let paths: Vec<&str> = if file.starts_with(home) { vec![file, folder, home] } else { vec![file, folder] };
    for path in paths {
        // -L: the server follows links, too.
        let output = try_run(host, "stat", &["-L", "-c", "%u %a", "--", path])?;
        let Some((owner, mode)) = output.stdout.trim().split_once(' ') else { return Ok(false) };
        let Ok(mode) = u32::from_str_radix(mode, 8) else { return Ok(false) };
        if (owner != uid && owner != "0") || mode & 0o022 != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the kind of the key on a line of `authorized_keys`, if it gives a shell.
fn kind(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let is_kind = |word: &str| KINDS.contains(&word);
    let first = line.split_whitespace().next()?;
    let rest = if is_kind(first) { line } else { behind_options(line)? };
    let mut words = rest.split_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    let bytes = STANDARD.decode(key).ok()?;
    // The key begins with its own kind, after four bytes of length.
    let length = usize::try_from(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let own = bytes.get(4..4_usize.checked_add(length)?)?;
    (is_kind(kind) && own == kind.as_bytes() && bytes.len() > 4 + length + 20).then_some(kind)
}

/// Returns the line after its options, if none of them restricts the key. Blanks within quotes belong to an option.
fn behind_options(line: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let end = line.find(|c: char| {
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => escaped = c == '\\' && !escaped,
        }
        c.is_whitespace() && !quoted
    })?;
    let options = line[..end].to_ascii_lowercase();
    (!RESTRICTED.iter().any(|option| options.contains(option))).then(|| line[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@laptop";

    #[test]
    fn only_a_whole_key_that_gives_a_shell_counts() {
        assert_eq!(kind(KEY), Some("ssh-ed25519"));
        assert_eq!(kind(&format!("from=\"10.0.0.0/8\" {KEY}")), Some("ssh-ed25519"));
        assert_eq!(kind(&format!("environment=\"A=b c\",no-agent-forwarding {KEY}")), Some("ssh-ed25519"));
        for bad in [
            String::new(),
            format!("# {KEY}"),
            "ssh-ed25519 AAAA me".into(),
            "ssh-ed25519".into(),
            KEY.replace("ssh-ed25519 ", "ssh-rsa "),
            KEY.replace("ssh-ed25519 ", "ssh-dss "),
            // As clouds write it for root.
            format!(
                "no-port-forwarding,command=\"echo 'Please login as the user \\\"admin\\\"';exit 142\" {KEY}"
            ),
            format!("cert-authority {KEY}"),
            format!("command=\"ssh-ed25519 AAAA {KEY}"),
        ] {
            assert_eq!(kind(&bad), None, "{bad}");
        }
    }
}
