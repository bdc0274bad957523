//! The requests and their answers. Answers have the fields that are used; the names on the wire are those of the
//! interface (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/>, version 2016-11-15).

mod account;
mod addresses;
mod common;
mod firewall;
mod gateways;
mod iam;
mod images;
mod instances;
mod keys;
mod launch;
mod networks;
mod snapshots;
mod tags;

pub use account::*;
pub use addresses::*;
pub use common::*;
pub use firewall::*;
pub use gateways::*;
pub use iam::*;
pub use images::*;
pub use instances::*;
pub use keys::*;
pub use launch::*;
pub use networks::*;
pub use snapshots::*;
pub use tags::*;
