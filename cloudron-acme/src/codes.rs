//! The error codes of this crate.

cloudron_core::codes! {
    /// The authority refused the order. Details: `type`, the kind of its problem; `name`, if it is about one name.
    REFUSED = ("acme-refused", Denied,
        "The certificate authority refused the order, for the reason that the message gives: a name that it does not \
         certify, a CAA record that names another authority, or an account that it does not accept. The certificate that \
         is in use stays in use.");
    /// The authority limits how much may be asked for. Detail: `seconds`, how long to wait.
    RATE_LIMITED = ("acme-rate-limited", Unavailable,
        "The certificate authority limits how many certificates may be asked for, and this limit is reached. Nothing is \
         asked for until the time is over that the authority named; the certificate that is in use stays in use.");
    /// The authority cannot answer now. Detail: `type`, the kind of its problem.
    UNAVAILABLE = ("acme-unavailable", Unavailable,
        "The certificate authority is not able to answer at the moment. It is asked again later, and not before the time \
         that it named; the certificate that is in use stays in use.");
    /// The authority could not verify the control of a name. Detail: `name`.
    CHALLENGE = ("acme-challenge", Failed,
        "The certificate authority could not verify that this machine controls the name. For http-01, port 80 of the \
         address that the name has in the DNS must lead to this machine from everywhere; for dns-01, the record \
         `_acme-challenge` must be visible at all name servers of the zone. The message has what the authority saw.");
    /// There is no way to prove the control of a name. Detail: `name`.
    NO_CHALLENGE = ("acme-no-challenge", Usage,
        "The certificate authority offers no way of proving the control of this name that is set up here. A wildcard needs \
         dns-01 or dns-persist-01, an address needs http-01.");
    /// The answer of the authority cannot be used.
    ANSWER = ("acme-answer", Failed,
        "The certificate authority answered something that this program cannot use. Check that the address is the directory \
         of an ACME server (RFC 8555).");
    /// The authority does not know the account.
    ACCOUNT = ("acme-account", Denied,
        "The certificate authority does not accept the account: it was deactivated, or it needs an external account binding \
         that is missing or wrong.");
    /// The clock of this machine is wrong. Detail: `seconds`, how far the authority's is ahead.
    CLOCK = ("acme-clock", Failed,
        "The clock of this machine and that of the certificate authority differ by more than an hour. Nothing is asked for \
         until they agree, since a certificate would be judged by the wrong time. Set the clock, or let NTP do it.");
    /// A certificate cannot be used. The message says why.
    CERTIFICATE = ("acme-certificate", Corrupt,
        "A certificate was not put in use, because it cannot be read, does not fit its key, does not cover the names, or is \
         not valid now. The message says which. The certificate that was in use before stays in use.");
    /// What is kept about certificates cannot be understood. Detail: `path`.
    STATE = ("acme-state", Corrupt,
        "A file of the folder in which accounts and certificates are kept cannot be understood. It was left as it is. Put it \
         back from a backup, or move it away: then it is made anew.");
    /// Another process works with the folder.
    BUSY = ("acme-busy", Conflict,
        "Another process works with the folder in which accounts and certificates are kept. Two at once would ask for the \
         same certificates twice.");
    /// Not a name for a certificate.
    NAME = ("acme-name", Usage,
        "What was given cannot be in a certificate: it is not a domain name, a wildcard of one, or an IP address, or these \
         are more names than one certificate has.");
    /// There is no such certificate.
    UNKNOWN = ("acme-unknown", NotFound,
        "There is no certificate of that name here.");
}
