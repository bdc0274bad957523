//! Converts a change of a set to requests.

use super::convert::{Extras, records, refusal};
use super::types::{NewSet, Value};
use crate::apply::unsupported;
use crate::{Change, Error, Name, Observed, Result, codes};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Creates a set.
    Create(NewSet),
    /// Replaces the values of a set.
    Records { name: String, rtype: String, records: Vec<Value> },
    /// Changes the TTL of a set.
    Ttl { name: String, rtype: String, ttl: u32 },
    /// Deletes a set.
    Delete { name: String, rtype: String },
}

/// Returns the requests for a change: the values first, because they matter more than the TTL.
///
/// # Errors
/// `dns-stale` if the set does not match the change's old state, `dns-refused` if it is protected, `dns-unsupported`.
pub(super) fn steps(apex: &Name, sets: &[Observed], extras: &Extras, change: &Change) -> Result<Vec<Step>> {
    let key = change.key();
    change.fits(sets.iter().find(|set| set.key() == key))?;
    let known = extras.get(key).cloned().unwrap_or_default();
    if known.protected {
        return Err(Error::new(&codes::REFUSED, format!("{key} is protected against changes at Hetzner"))
            .with_hint("allow changes of the set in the Hetzner console"));
    }
    if let Some(why) = refusal(apex, change) {
        return Err(unsupported("Hetzner", key, &why));
    }
    let (name, rtype) = (key.name.relative_to(apex), key.rtype.to_string());
    let Some(new) = change.after() else {
        return Ok(vec![Step::Delete { name, rtype }]);
    };
    let records = records(new, &known);
    let ttl = new.ttl().seconds();
    let Some(old) = change.before() else {
        return Ok(vec![Step::Create(NewSet { name, rtype, ttl, records })]);
    };
    let mut steps = Vec::new();
    if !old.same_values(new) {
        steps.push(Step::Records { name: name.clone(), rtype: rtype.clone(), records });
    }
    if old.ttl() != new.ttl() {
        steps.push(Step::Ttl { name, rtype, ttl });
    }
    Ok(steps)
}
