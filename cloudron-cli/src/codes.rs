//! The error codes of the command line itself, and those of machines.

use cloudron_core::Code;
pub(crate) use cloudron_machine::codes::{MACHINE_UNKNOWN, NEEDS_ANSWER, SERVER_DEAD, SERVER_REFUSED};

cloudron_core::codes! {
    /// Records that differ from the required ones.
    DNS_DIFFERS = ("dns-differs", Unverified,
        "At least one authoritative name server does not give the records that the machine needs. The list \
         above says which record differs on which server; a server that did not answer counts as not verified.");
    /// A command of the original Cloudron that this version does not have.
    NOT_YET = ("not-yet", Usage,
        "The documentation of the original Cloudron has this command, and this version does not have it. Nothing was \
         done. The line `next:` says which commands do the same.");
    /// An unknown code.
    CODE_UNKNOWN = ("code-unknown", NotFound,
        "No error code has that name. `cloudron explain` without a name lists all of them.");
}

/// Returns the codes of all crates, sorted by name.
pub(crate) fn all() -> Vec<&'static Code> {
    let lists = [
        cloudron_core::codes::ALL,
        cloudron_acme::codes::ALL,
        cloudron_proxy::codes::ALL,
        cloudron_backup::codes::ALL,
        cloudron_api::codes::ALL,
        cloudron_box::codes::ALL,
        cloudron_dns::codes::ALL,
        cloudron_http::codes::ALL,
        cloudron_provision::codes::ALL,
        cloudron_provision::cloud::codes::ALL,
        cloudron_machine::codes::ALL,
        ALL,
    ];
    let mut all: Vec<&'static Code> = lists.into_iter().flatten().copied().collect();
    all.sort_by_key(|c| c.name);
    all
}

/// Returns the code with this name.
pub(crate) fn find(name: &str) -> Option<&'static Code> {
    all().into_iter().find(|c| c.name == name)
}
