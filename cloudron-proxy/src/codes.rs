//! The error codes of this crate.

cloudron_core::codes! {
    /// An unusable table of routes. Detail: `host`.
    ROUTE_INVALID = ("proxy-route-invalid", Usage,
        "A route cannot be used. Its host must be a name such as `blog.example.com`, or `*.example.com` for all names \
         one label below, and may occur once; its limits must be above zero; at most one route is the privileged one.");
    /// TLS settings that the cryptography does not support.
    TLS = ("proxy-tls", Failed,
        "The cryptography that was handed in offers no version of TLS that the proxy uses (1.2 and 1.3).");
}
