//! The pages that the server shows in a browser.

pub(crate) mod setup;
