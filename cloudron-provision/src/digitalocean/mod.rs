//! The provider `digitalocean`: machines at DigitalOcean.
//!
//! DigitalOcean has no idempotent call, and names of droplets are not unique. A droplet is looked up by its tags before it
//! is made, and after an answer that was lost, looked up twice before it is made again. The name of the firewall is unique:
//! of two runs for the same machine, one makes it.
//!
//! Keys and firewalls have no tags of their own. A firewall belongs to the machine whose tag it is bound to; the name of a
//! key says the machine, the run, and the hash of the key. Everything else of such a name is left.
//!
//! | file | contents |
//! |---|---|
//! | `client.rs`, `requests.rs`, `messages.rs` | requests and answers |
//! | `failures.rs` | what refusals mean, and which scope of the token is missing |
//! | `provider.rs` | the provider and its settings |
//! | `access.rs` | the steps `ssh-key` and `firewall` |
//! | `droplet.rs`, `reserved.rs` | the step `machine`, and the reserved address |
//! | `keys.rs` | the tags of a droplet's host keys |
//! | `names.rs` | the names of what has no tags |
//! | `removal.rs` | the removal of a droplet, and of what belongs to it |
//! | `inventory.rs` | the cloud without a journal |
//! | `pricing.rs` | the plan with its cost, by DigitalOcean's own prices |

mod access;
mod client;
mod droplet;
mod failures;
mod inventory;
mod keys;
mod messages;
mod names;
mod pricing;
mod provider;
mod removal;
mod requests;
mod reserved;

pub use pricing::scopes;
pub use provider::{DigitalOcean, Settings};
