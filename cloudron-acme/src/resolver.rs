//! Which certificate is served for which name.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::chain::Certificate;
use crate::names::Subject;

type Table = HashMap<Subject, Arc<CertifiedKey>>;

/// Serves the certificate for the name that a client asks for (SNI). Certificates are replaced all at once, between two
/// connections; a name without one is left to the fallback, such as the machine's own authority.
pub struct Resolver {
    table: RwLock<Arc<Table>>,
    fallback: Option<Arc<dyn ResolvesServerCert>>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("names", &self.names()).finish_non_exhaustive()
    }
}

impl Resolver {
    /// Creates a resolver without certificates.
    pub fn new(fallback: Option<Arc<dyn ResolvesServerCert>>) -> Arc<Self> {
        Arc::new(Self { table: RwLock::default(), fallback })
    }

    /// Returns the names that have a certificate.
    pub fn names(&self) -> Vec<Subject> {
        let mut names: Vec<Subject> = self.table().keys().cloned().collect();
        names.sort();
        names
    }

    /// Returns the certificate for a name: its own one, or that of all names at its level. `None` stands for a client that
    /// names nothing, as one that connects to an address does.
    pub fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let table = self.table();
        let Some(name) = name else {
            let mut addresses: Vec<_> =
                table.iter().filter(|(subject, _)| matches!(subject, Subject::Address(_))).collect();
            addresses.sort_by_key(|(subject, _)| *subject);
            return addresses.first().map(|(_, key)| (*key).clone());
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let above = name.split_once('.').map(|(_, above)| Subject::Wildcard(above.to_owned()));
        let own = table.get(&Subject::Name(name));
        own.or_else(|| above.and_then(|above| table.get(&above))).cloned()
    }

    /// Puts all certificates in the place of those before.
    pub(crate) fn replace<'c>(&self, certificates: impl Iterator<Item = &'c Certificate>) {
        let mut table = Table::new();
        let mut lives = HashMap::new();
        for certificate in certificates {
            for name in &certificate.names {
                // Of two for one name, the one that lasts longer.
                let life = lives.entry(name.clone()).or_insert(i64::MIN);
                if certificate.life.until > *life {
                    *life = certificate.life.until;
                    table.insert(name.clone(), certificate.key.clone());
                }
            }
        }
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).or_else(|| self.fallback.as_ref()?.resolve(hello))
    }
}
