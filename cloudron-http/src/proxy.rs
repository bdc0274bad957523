//! Selection of the proxy for a request, by the same environment variables as curl.

use std::fmt;

use cloudron_core::Secret;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::{Error, Result, codes};

/// The proxies to use, and the hosts to reach directly. `Debug` shows no passwords.
#[derive(Clone, Default)]
pub struct Proxies {
    https: Option<Secret>,
    http: Option<Secret>,
    /// The hosts that are reached directly.
    without: String,
}

const SCHEMES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// The loopback addresses, which are never sent to a proxy.
const THIS_COMPUTER: &str = "localhost,127.0.0.0/8,::1";

impl Proxies {
    /// Returns no proxies.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the variables `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` for URLs of that scheme, and in
    /// `NO_PROXY` the hosts, domains and networks to reach directly. All names may be in lower case. Loopback
    /// addresses are always reached directly.
    ///
    /// # Errors
    /// `http-proxy` if a variable does not contain a valid proxy address.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    /// Reads the settings from the given variables instead of those of this process.
    ///
    /// # Errors
    /// Same as [`from_env`](Self::from_env).
    pub fn from_variables(var: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| {
            let set = |name: &str| var(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
            set(name).or_else(|| set(&name.to_ascii_lowercase()))
        };
        let proxy = |name: &str| get(name).map(|text| checked(name, &text)).transpose();
        let all = proxy("ALL_PROXY")?;
        // In a CGI program, a client can set HTTP_PROXY with the header `Proxy`.
        let http = if var("REQUEST_METHOD").is_some() { None } else { proxy("HTTP_PROXY")? };
        Ok(Self {
            https: proxy("HTTPS_PROXY")?.or_else(|| all.clone()),
            http: http.or(all),
            without: get("NO_PROXY").unwrap_or_default(),
        })
    }

    /// Returns true if there are no proxies.
    pub(crate) fn is_empty(&self) -> bool {
        self.https.is_none() && self.http.is_none()
    }

    /// Returns the proxy for a URL, or `None` if it is reached directly.
    pub(crate) fn of(&self, uri: &Uri) -> Option<&Secret> {
        if self.without.split(',').any(|host| host.trim() == "*") {
            return None;
        }
        let proxy = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        let proxy = proxy.as_ref()?;
        let without = format!("{},{THIS_COMPUTER}", self.without);
        let matcher = Matcher::builder().all("http://proxy").no(without).build();
        matcher.intercept(uri).map(|_| proxy)
    }

    /// Returns the host and port of the proxy for a URL, for messages.
    pub(crate) fn shown(&self, uri: &Uri) -> Option<String> {
        let proxy: Uri = self.of(uri)?.expose().parse().ok()?;
        let port = proxy.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", proxy.host()?))
    }
}

/// Checks the address of a proxy and adds the scheme `http` if it has none.
fn checked(name: &str, text: &str) -> Result<Secret> {
    let full = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let usable = full.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str().is_some_and(|s| SCHEMES.contains(&s)) && uri.host().is_some_and(|h| !h.is_empty())
    });
    if usable && reqwest::Proxy::all(&*full).is_ok() {
        return Ok(Secret::new(full));
    }
    // The value is not shown, because it may contain a password.
    let text = format!("{name} does not hold the address of a proxy, such as http://proxy.example.com:3128");
    Err(Error::new(&codes::PROXY, text))
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |proxy: &Option<Secret>| proxy.is_some();
        f.debug_struct("Proxies")
            .field("https", &set(&self.https))
            .field("http", &set(&self.http))
            .field("without", &self.without)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Proxies> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Proxies::from_variables(&move |name| pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
    }

    fn of(proxies: &Proxies, uri: &'static str) -> Option<String> {
        proxies.of(&Uri::from_static(uri)).map(|proxy| proxy.expose().to_owned())
    }

    #[test]
    fn each_kind_of_address_has_its_proxy_and_any_has_that_of_all() {
        let proxies = from(&[("https_proxy", "one:1"), ("ALL_PROXY", "socks5h://two:2")]).unwrap();
        assert_eq!(of(&proxies, "https://example.com/x").as_deref(), Some("http://one:1"));
        assert_eq!(of(&proxies, "http://example.com/x").as_deref(), Some("socks5h://two:2"));
        let proxies = from(&[("HTTPS_PROXY", "http://upper"), ("https_proxy", "http://lower")]).unwrap();
        assert_eq!(of(&proxies, "https://example.com").as_deref(), Some("http://upper"));
        assert_eq!(of(&proxies, "http://example.com"), None);
        assert!(from(&[("HTTPS_PROXY", " ")]).unwrap().is_empty());
    }

    #[test]
    fn some_hosts_and_this_computer_are_reached_directly() {
        let without = " .internal.example, api.example.com,10.0.0.0/8 ,fd00::/8";
        let proxies = from(&[("ALL_PROXY", "http://proxy"), ("no_proxy", without)]).unwrap();
        for direct in [
            "https://a.internal.example",
            "https://internal.example",
            "https://API.example.com:8443",
            "https://v1.api.example.com",
            "https://10.2.3.4",
            "https://[fd00::1]/",
            "http://localhost:8081",
            "http://127.0.0.2",
            "https://[::1]:9",
        ] {
            assert_eq!(of(&proxies, direct), None, "{direct}");
        }
        for proxied in ["https://example.com", "https://notapi.example.com", "http://11.0.0.1"] {
            assert!(of(&proxies, proxied).is_some(), "{proxied}");
        }
        let none = from(&[("ALL_PROXY", "http://proxy"), ("NO_PROXY", "a, *")]).unwrap();
        assert_eq!(of(&none, "https://11.0.0.1"), None);
        assert_eq!(of(&none, "https://example.com"), None);
    }

    #[test]
    fn a_server_does_not_take_the_proxy_that_its_client_names() {
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "http://evil.example")];
        assert!(from(&cgi).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_no_password_is_shown() {
        for wrong in ["ftp://proxy", "http://", "http://canary:canary@", "a b", "gopher://canary@proxy:1"] {
            let error = from(&[("HTTPS_PROXY", wrong)]).unwrap_err();
            assert!(error.is(&codes::PROXY), "{wrong}: {error:?}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        let proxies = from(&[("HTTPS_PROXY", "http://user:canary@proxy.example:3128")]).unwrap();
        assert!(!format!("{proxies:?}").contains("canary"));
        let shown = proxies.shown(&Uri::from_static("https://example.com"));
        assert_eq!(shown.as_deref(), Some("proxy.example:3128"));
    }
}
