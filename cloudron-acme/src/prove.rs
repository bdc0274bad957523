//! Proving the control of the names of one order.

use std::time::Duration;

use cloudron_core::Error;
use instant_acme::{AuthorizationStatus, ChallengeType, Order, OrderStatus};

use crate::challenge::{Proof, Solver};
use crate::failure::Failure;
use crate::order::{Work, bounded};
use crate::{Challenge, Subject, codes};

/// How long after a lost answer the authority is asked.
const SECOND_TRY: Duration = Duration::from_secs(1);

impl Work<'_> {
    /// Proves the control of all names of which it is not proven yet. Proofs are taken away whatever happens.
    pub(crate) async fn prove(&self, order: &mut Order) -> Result<(), Failure> {
        let proofs = self.proofs(order).await?;
        if proofs.is_empty() {
            return Ok(());
        }
        let solver = self.inner.solver(self.wanted.challenge).ok_or_else(|| self.unsolvable(None))?;
        let shown = self.show(&*solver, order, &proofs).await;
        if let Err(error) = solver.remove(&proofs).await {
            tracing::warn!(id = self.wanted.id(), %error, "what proved the control of names stays");
        }
        shown
    }

    async fn show(&self, solver: &dyn Solver, order: &mut Order, proofs: &[Proof]) -> Result<(), Failure> {
        solver.present(proofs).await?;
        if !self.ready(order, false).await? {
            // An answer was lost, and perhaps the authority is looking already: it is asked, and told again if not.
            self.inner.clock().sleep(SECOND_TRY).await;
            self.ready(order, true).await?;
        }
        let seen = [OrderStatus::Ready, OrderStatus::Processing, OrderStatus::Valid];
        self.until(order, &seen).await.map(drop)
    }

    /// Tells the authority that it may look. Returns whether all answers came.
    async fn ready(&self, order: &mut Order, again: bool) -> Result<bool, Failure> {
        let mut all_answered = true;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if again {
                authorization.refresh().await?;
            }
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let name = bounded(&authorization.identifier().to_string());
            let Some(mut challenge) = authorization.challenge(self.kind()) else { continue };
            match challenge.set_ready().await.map_err(Failure::from) {
                Ok(()) => {}
                Err(failure) if failure.error.is_retryable() && !again => all_answered = false,
                // It looks already.
                Err(failure) if failure.kind == "malformed" && again => {}
                Err(failure) => return Err(failure.about(&name)),
            }
        }
        Ok(all_answered)
    }

    async fn proofs(&self, order: &mut Order) -> Result<Vec<Proof>, Failure> {
        let mut proofs = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            match authorization.status {
                AuthorizationStatus::Valid => continue,
                AuthorizationStatus::Pending => {}
                // What failed before is told by the order itself.
                _ => return Ok(Vec::new()),
            }
            let name = bounded(&authorization.identifier().to_string());
            let subject: Subject = name.parse()?;
            if !self.wanted.names().contains(&subject) {
                let message =
                    format!("the certificate authority asks about {subject}, which was not ordered");
                return Err(Failure::from(Error::new(&codes::ANSWER, message)).ending());
            }
            let challenge = authorization.challenge(self.kind());
            let challenge = challenge.ok_or_else(|| self.unsolvable(Some(&name)))?;
            let key = challenge.key_authorization();
            let token = challenge.token.clone();
            if !token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                || token.len() > 512
            {
                return Err(Error::new(&codes::ANSWER, "the token of a challenge is none").into());
            }
            let (key_authorization, record) = (key.as_str().to_owned(), key.dns_value());
            proofs.push(Proof { subject, token, key_authorization, record });
        }
        Ok(proofs)
    }

    fn kind(&self) -> ChallengeType {
        match self.wanted.challenge {
            Challenge::Http01 => ChallengeType::Http01,
            Challenge::Dns01 => ChallengeType::Dns01,
            Challenge::DnsPersist01 => ChallengeType::Unknown("dns-persist-01".to_owned()),
        }
    }

    fn unsolvable(&self, name: Option<&str>) -> Failure {
        let kind = self.wanted.challenge.as_str();
        let message = match name {
            Some(name) => format!("the certificate authority does not offer {kind} for {name}"),
            None => format!("nothing here solves {kind}"),
        };
        Failure::from(Error::new(&codes::NO_CHALLENGE, message)).ending()
    }
}
