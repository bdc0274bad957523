//! The key objects that may open a repository, in the order in which they are tried. Anybody with write
//! access to the store can add objects, and trying one can cost seconds and gigabytes of memory.

use std::collections::HashSet;

use bytes::Bytes;
use cloudron_core::{Error, Result};
use ed25519_dalek::VerifyingKey;

use crate::encrypt::AgePassphrase;
use crate::format::key::{self, COPIES, Lock};
use crate::keys::Unlock;
use crate::store::{BackupStore, ObjectMeta, get_at_most};
use crate::{codes, layout};

/// The maximum number of objects tried without a statement signed by the owner.
const MOST_UNSIGNED: usize = 20;
/// The maximum total cost of these objects, as the sum of scrypt's N: two keys of the highest work factor.
const MOST_WORK: u64 = 2 << AgePassphrase::MAX_WORK_FACTOR;
/// The highest work factor of an object without a statement signed by the owner: 1 GiB of memory.
/// Repositories of format 1 have no statements, and their owner may have chosen any factor.
const DEAREST_UNSIGNED: u8 = 20;
/// The maximum number of objects read.
const MOST_READ: usize = 1000;

/// A key object that may open the repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The key of the object in the store, also when the content was read from the second copy.
    pub(super) object: String,
    pub(super) content: Bytes,
    /// The work factor; 0 for a paper key, which costs almost nothing.
    factor: u8,
    signed: bool,
}

/// The candidates found in a repository.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The candidates to try, in this order.
    pub(super) tried: Vec<Candidate>,
    /// The number of objects that are not tried, because there are too many or they cost too much.
    pub(super) untried: usize,
    /// The keys of objects that are damaged.
    pub(super) damaged: Vec<String>,
    /// True if there are keys of the other kind.
    pub(super) others: bool,
}

impl Candidates {
    /// Reads the candidates for `unlock`. A damaged or missing object is replaced by its second copy.
    ///
    /// # Errors
    /// Errors of the store.
    pub(super) async fn read(
        store: &dyn BackupStore,
        unlock: &Unlock,
        (repository, owner): (&str, Option<VerifyingKey>),
        meant: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let mut listed = store.list(layout::KEYS).await?;
        listed.extend(store.list(&format!("{COPIES}{}", layout::KEYS)).await?);
        // Anybody may have put a large object in the place of a statement.
        let small: HashSet<&str> =
            listed.iter().filter(|o| o.size <= layout::MOST_SMALL).map(|o| o.key.as_str()).collect();
        let statement_on = |key: &str| key::statement_key(plain(key)).filter(|s| small.contains(s.as_str()));
        let mut objects: Vec<&ObjectMeta> =
            listed.iter().filter(|o| o.key.ends_with(".age") && meant(plain(&o.key))).collect();
        // If there are too many, those with a statement come first.
        objects.sort_by_cached_key(|o| statement_on(&o.key).is_none());
        let (mut this, mut found) = (Self::default(), Vec::<Candidate>::new());
        for (n, meta) in objects.into_iter().enumerate() {
            if n >= MOST_READ || meta.size > layout::MOST_SMALL {
                this.untried += 1;
                continue;
            }
            let content = match get_at_most(store, &meta.key, layout::MOST_SMALL).await {
                Err(e) if e.is(&codes::OBJECT_MISSING) => continue,
                Err(e) if e.is(&codes::OBJECT_CORRUPT) => {
                    this.untried += 1;
                    continue;
                }
                content => content?,
            };
            let key = plain(&meta.key);
            if found.iter().any(|c| c.object == key && c.content == content) {
                continue;
            }
            let lock = key::lock_of(&content).filter(|_| !key::is_damaged(&meta.key, &content));
            let factor = match (lock, unlock) {
                (None, _) => {
                    this.damaged.push(meta.key.clone());
                    continue;
                }
                (Some(Lock::Passphrase(factor)), Unlock::BackupKey(_)) => factor,
                (Some(Lock::Paper), Unlock::Paper(_)) => 0,
                _ => {
                    this.others = true;
                    continue;
                }
            };
            let mut signed = false;
            if let (Some(owner), Some(statement)) = (&owner, statement_on(&meta.key)) {
                let statement = get_at_most(store, &statement, layout::MOST_SMALL).await;
                signed = statement.is_ok_and(|s| key::check_statement(&s, repository, &content, owner));
            }
            found.push(Candidate { object: key.to_owned(), content, factor, signed });
        }
        // An object with a sound second copy does not count as damaged.
        this.damaged.retain(|key| !found.iter().any(|c| c.object == plain(key)));
        this.choose(found, if owner.is_some() { DEAREST_UNSIGNED } else { AgePassphrase::MAX_WORK_FACTOR });
        Ok(this)
    }

    /// Returns the error for the case that no candidate opens. `foreign` is an object that opens, but belongs
    /// to another repository.
    pub(super) fn none_opens(&self, unlock: &Unlock, foreign: Option<&str>, url: &str) -> Error {
        let nothing = self.tried.is_empty() && self.untried == 0 && !self.others;
        let error = match (foreign, self.damaged.first(), unlock) {
            (Some(foreign), ..) => {
                Error::new(&codes::REPOSITORY_CORRUPT, format!("{foreign} belongs to another repository"))
            }
            // A damaged object explains more than a wrong key.
            (None, Some(damaged), _) => {
                let text = format!("{damaged} is damaged, and the key opens no other object");
                Error::new(&codes::OBJECT_CORRUPT, text).with_hint(
                    "put the object back from a copy of the repository, or use another of its keys",
                )
            }
            (None, None, _) if nothing => {
                Error::new(&codes::REPOSITORY_CORRUPT, format!("there is no key in {url}"))
            }
            (None, None, Unlock::Paper(_)) => {
                Error::new(&codes::BACKUP_KEY_WRONG, "the paper key opens none of the keys")
            }
            (None, None, Unlock::BackupKey(_)) => {
                Error::new(&codes::BACKUP_KEY_WRONG, "the backup key is wrong")
                    .with_hint("check it for typing errors, and that it is the key of this repository")
            }
        };
        if self.untried == 0 {
            return error;
        }
        let untried = format!(
            "{} objects in keys/ that the owner did not sign were not tried, because it would take too long: delete \
             those that nobody knows",
            self.untried
        );
        let hint = error.hint().map_or_else(|| untried.clone(), |hint| format!("{hint}. {untried}"));
        error.with_hint(hint).with_detail("untried", self.untried.to_string())
    }

    /// Sorts the candidates and drops those that cost too much. `dearest` is the highest work factor of an
    /// unsigned one.
    fn choose(&mut self, mut found: Vec<Candidate>, dearest: u8) {
        found.sort_by_key(|c| (!c.signed, c.factor));
        let (mut unsigned, mut work) = (0, 0u64);
        for candidate in found {
            if !candidate.signed && candidate.factor > 0 {
                unsigned += 1;
                work = work.saturating_add(1u64.checked_shl(candidate.factor.into()).unwrap_or(u64::MAX));
            }
            let most = if candidate.signed { AgePassphrase::MAX_WORK_FACTOR } else { dearest };
            let dear = candidate.factor > most;
            match !dear && (candidate.signed || (unsigned <= MOST_UNSIGNED && work <= MOST_WORK)) {
                true => self.tried.push(candidate),
                false => self.untried += 1,
            }
        }
    }
}

/// Returns the key of an object, given its key or that of its second copy.
fn plain(key: &str) -> &str {
    key.strip_prefix(COPIES).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use cloudron_core::Secret;

    use super::*;
    use crate::keys::Identity;
    use crate::store::memory::MemoryStore;

    fn candidate(name: &str, factor: u8, signed: bool) -> Candidate {
        Candidate { object: name.into(), content: Bytes::new(), factor, signed }
    }

    fn chosen(found: Vec<Candidate>) -> (Vec<String>, usize) {
        chosen_up_to(found, AgePassphrase::MAX_WORK_FACTOR)
    }

    fn chosen_up_to(found: Vec<Candidate>, dearest: u8) -> (Vec<String>, usize) {
        let mut candidates = Candidates::default();
        candidates.choose(found, dearest);
        (candidates.tried.into_iter().map(|c| c.object).collect(), candidates.untried)
    }

    #[test]
    fn keys_of_the_owner_are_tried_first_and_others_from_the_cheapest_on() {
        let found = vec![
            candidate("aaa", 22, false),
            candidate("cheap", 15, false),
            candidate("owner-dear", 20, true),
            candidate("owner", 18, true),
        ];
        let (tried, untried) = chosen(found);
        assert_eq!((tried.join(" ").as_str(), untried), ("owner owner-dear cheap aaa", 0));
    }

    #[tokio::test]
    async fn an_object_too_large_for_a_statement_is_none_whatever_it_says() {
        let (store, identity) = (MemoryStore::new(), Identity::generate());
        let owner = identity.owner_key();
        let key = Secret::new("a backup key of some length");
        let content = key::wrap(&identity, key.clone(), 1, jiff::Timestamp::UNIX_EPOCH).unwrap();
        store.put("keys/main.age", &content.clone().into()).await.unwrap();
        let mut statement = key::statement("ab", &content, &owner);
        for signed in [true, false] {
            store.put("keys/main.json", &statement.clone().into()).await.unwrap();
            let unlock = Unlock::BackupKey(key.clone());
            let known = ("ab", Some(owner.verifying_key()));
            let found = Candidates::read(&store, &unlock, known, |_| true).await.unwrap();
            assert_eq!(found.tried.iter().map(|c| c.signed).collect::<Vec<_>>(), [signed]);
            statement.resize(layout::MOST_SMALL as usize + 1, b' ');
        }
    }

    #[test]
    fn what_nobody_signed_is_not_tried_where_it_takes_gigabytes() {
        let found =
            vec![candidate("dear", 21, false), candidate("cheap", 20, false), candidate("owner", 22, true)];
        assert_eq!(chosen_up_to(found, DEAREST_UNSIGNED), (vec!["owner".into(), "cheap".into()], 1));
    }

    #[test]
    fn what_strangers_add_costs_no_more_than_so_much() {
        let many =
            |n: usize, factor| (0..n).map(|i| candidate(&i.to_string(), factor, false)).collect::<Vec<_>>();
        assert_eq!(chosen(many(100, 10)).1, 80);
        assert_eq!(chosen(many(20, 18)).1, 0);
        assert_eq!(chosen(many(100, 22)).1, 98);
        assert_eq!(chosen(many(3, 23)).1, 3);
        assert_eq!(chosen(many(3, 255)).1, 3);
        // The sum of their work is no number any more.
        assert_eq!(chosen(many(3, 63)).1, 3);
        let mut mixed = many(100, 22);
        mixed.push(candidate("owner", 22, true));
        assert_eq!(chosen(mixed).0[0], "owner");
    }
}
