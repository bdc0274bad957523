//! The account at the authority. Its key is kept before the account is made, so that a run that is cut off finds the same
//! account again.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloudron_core::{Error, Result, Secret};
use instant_acme::{Account, AccountBuilder, ExternalAccountKey, Key, NewAccount};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use crate::certificates::Inner;
use crate::codes;
use crate::failure::Failure;
use crate::http::Client;
use crate::schedule::HOUR;

/// How far the clocks of this machine and of the authority may be apart, in seconds.
const MOST_APART: i64 = HOUR;

/// What is kept of an account.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountFile {
    pub(crate) directory: String,
    /// The address of the account; `None` until the authority answered.
    pub(crate) id: Option<String>,
    /// PKCS#8, in base64url.
    key: Secret,
}

impl AccountFile {
    fn new(directory: &str, key: &PrivatePkcs8KeyDer<'_>) -> Self {
        let key = Secret::new(URL_SAFE_NO_PAD.encode(key.secret_pkcs8_der()));
        Self { directory: directory.to_owned(), id: None, key }
    }

    fn key(&self) -> Result<PrivatePkcs8KeyDer<'static>> {
        let bytes = URL_SAFE_NO_PAD.decode(self.key.expose());
        let bytes =
            bytes.map_err(|_| Error::new(&codes::STATE, "the key of the account is not base64url"))?;
        Ok(PrivatePkcs8KeyDer::from(bytes))
    }
}

impl Inner {
    pub(crate) fn account_file(&self) -> Result<Option<AccountFile>> {
        self.store.account(&self.authority().directory)
    }

    /// Reads the directory and returns the account; makes one if there is none.
    pub(crate) async fn connect(&self) -> Result<Account, Failure> {
        let account = match self.account().await {
            // An authority that lost it, or another one at the same address: the same key, another account.
            Err(failure) if failure.kind == "accountDoesNotExist" => {
                self.forget_account()?;
                self.account().await?
            }
            done => done?,
        };
        let ahead = self.seen().ahead().unwrap_or(0);
        if ahead.saturating_abs() > MOST_APART {
            let (hours, side) =
                (ahead.saturating_abs() / HOUR, if ahead > 0 { "ahead of" } else { "behind" });
            let message = format!(
                "the clock of the certificate authority is {hours} hours {side} that of this machine"
            );
            let error = Error::new(&codes::CLOCK, message).with_detail("seconds", ahead.to_string());
            return Err(Failure { of_all: true, ..error.into() });
        }
        Ok(account)
    }

    /// Forgets the address of the account, and keeps its key.
    pub(crate) fn forget_account(&self) -> Result<()> {
        match self.account_file()? {
            Some(file) => self.keep_account(AccountFile { id: None, ..file }).map(drop),
            None => Ok(()),
        }
    }

    async fn account(&self) -> Result<Account, Failure> {
        let directory = self.authority().directory.clone();
        let file = match self.account_file()? {
            Some(file) => file,
            None => {
                let file = AccountFile::new(&directory, &Key::generate_pkcs8()?.1);
                self.keep_account(file)?
            }
        };
        let key = file.key()?;
        if let Some(id) = file.id {
            return Ok(self.builder().from_parts(id, key, directory).await?);
        }
        let Some((id, secret)) = &self.authority().external_account else {
            let pair = (Key::from_pkcs8_der(key.clone_key())?, PrivateKeyDer::Pkcs8(key.clone_key()));
            let (account, _) = self.builder().create_from_key(pair, directory.clone()).await?;
            let id = Some(account.id().to_owned());
            self.keep_account(AccountFile { id, ..AccountFile::new(&directory, &key) })?;
            return Ok(account);
        };
        let secret = URL_SAFE_NO_PAD.decode(secret.expose().trim_end_matches('='));
        let secret =
            secret.map_err(|_| Error::new(&codes::ACCOUNT, "the key of the binding is not base64url"))?;
        let binding = ExternalAccountKey::new(id.clone(), &secret);
        let new = NewAccount { contact: &[], terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = self.builder().create(&new, directory.clone(), Some(&binding)).await?;
        let id = Some(account.id().to_owned());
        self.keep_account(AccountFile { id, ..AccountFile::new(&directory, credentials.private_key()) })?;
        Ok(account)
    }

    fn keep_account(&self, file: AccountFile) -> Result<AccountFile> {
        self.store.put_account(&file.directory, &file)?;
        Ok(file)
    }

    fn builder(&self) -> AccountBuilder {
        let client = Client {
            transport: Arc::clone(&self.options.transport),
            clock: Arc::clone(&self.options.clock),
            seen: Arc::clone(self.seen()),
            plain: self.authority().directory.starts_with("http://"),
        };
        Account::builder_with_http(Box::new(client))
    }
}
