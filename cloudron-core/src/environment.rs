//! The environment variables that a child process may see.

use std::ffi::OsString;

/// Variables that programs commonly need and that contain no secrets.
const HARMLESS: [&str; 9] =
    ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Variables that say how services are reached. The address of a proxy may contain a password.
const PROXIES: [&str; 8] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Returns those of these variables that are set, for a child process whose environment was cleared. Any other variable
/// may be a secret, and the environment of a process can be read for as long as the process runs.
/// Proxies with a password are left out.
pub fn harmless() -> impl Iterator<Item = (&'static str, OsString)> {
    harmless_of(|name| std::env::var_os(name))
}

fn harmless_of(var: impl Fn(&str) -> Option<OsString>) -> impl Iterator<Item = (&'static str, OsString)> {
    let open = |value: &OsString| !value.as_encoded_bytes().contains(&b'@');
    let proxy = move |name: &str| PROXIES.contains(&name);
    let all = HARMLESS.into_iter().chain(PROXIES).filter_map(move |name| Some((name, var(name)?)));
    all.filter(move |(name, value)| !proxy(name) || open(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_passed_on_and_no_password_of_a_proxy() {
        let set = [
            ("PATH", "/bin"),
            ("AWS_SECRET_ACCESS_KEY", "canary"),
            ("HTTPS_PROXY", "http://user:canary@proxy"),
            ("ALL_PROXY", "http://proxy:3128"),
            ("SSL_CERT_FILE", "/ca@home.pem"),
        ];
        let var = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value));
        let names: Vec<&str> = harmless_of(var).map(|(name, _)| name).collect();
        assert_eq!(names, ["PATH", "SSL_CERT_FILE", "ALL_PROXY"]);
    }
}
