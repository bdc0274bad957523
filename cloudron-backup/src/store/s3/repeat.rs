//! Retries requests after transient failures.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use cloudron_core::SystemClock;

use super::S3Store;
use super::failure::Failure;

impl S3Store {
    /// Sends a request until it has a final response, or the policy's attempts are used up. All requests of
    /// this store may be repeated; for a conditional write, [`Failure::may_be_done`] tells how to interpret
    /// the last response.
    pub(super) async fn repeat<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut retries = self.options.retry.begin(&SystemClock);
        let mut may_be_done = false;
        loop {
            let answer = tokio::time::timeout(self.options.timeout, attempt()).await;
            let mut failure = match answer.unwrap_or_else(|_| Err(Failure::late())) {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            failure.may_be_done = may_be_done;
            if !failure.is_passing || !retries.again(&failure, None).await {
                return Err(failure);
            }
            // A 3xx or 4xx status means that it was not executed; no response, a truncated one or a server
            // error may follow a success.
            may_be_done |= failure.status.is_none_or(|status| !(300..500).contains(&status));
        }
    }
}

/// Returns the response to a request, or its failure.
pub(super) fn checked<T, E>(answer: Result<T, SdkError<E, HttpResponse>>) -> Result<T, Failure>
where
    E: ProvideErrorMetadata,
{
    answer.map_err(|e| Failure::new(&e))
}
