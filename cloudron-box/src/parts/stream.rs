//! Lines of JSON over a stream, each with a limit.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Error, Result, codes};

/// A connection between two parts of the server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Reads a line of at most `limit` bytes. Returns `None` at the end of the stream.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncBufRead + Unpin),
    limit: u64,
) -> Result<Option<T>> {
    let mut line = Vec::new();
    from.take(limit).read_until(b'\n', &mut line).await.map_err(broken)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(unavailable("a message of another part of the server is cut off or too long"));
    }
    // The text itself may hold a secret.
    serde_json::from_slice(&line).map(Some).map_err(|e| {
        unavailable(&format!("a message of another part is not understood: {:?} error", e.classify()))
    })
}

/// Writes a line.
pub(crate) async fn write(to: &mut (impl AsyncWrite + Unpin), message: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(message).expect("our messages serialize to JSON");
    line.push(b'\n');
    to.write_all(&line).await.map_err(broken)?;
    to.flush().await.map_err(broken)
}

pub(crate) fn broken(error: std::io::Error) -> Error {
    unavailable(&format!("the connection to another part of the server broke: {error}")).with_source(error)
}

pub(crate) fn unavailable(text: &str) -> Error {
    Error::new(&codes::PART_UNAVAILABLE, text)
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn a_line_that_is_too_long_cut_off_or_not_json_is_an_error_that_does_not_quote_it() {
        for text in ["[\"canary-0123456789\"]\n", "[\"canary\"", "canary\n"] {
            let error = read::<Vec<String>>(&mut BufReader::new(text.as_bytes()), 16).await.unwrap_err();
            assert!(error.is(&codes::PART_UNAVAILABLE) && !error.to_string().contains("canary"), "{error}");
        }
        let mut good = BufReader::new(&b"[\"a\"]\n[]\n"[..]);
        assert_eq!(read::<Vec<String>>(&mut good, 16).await.unwrap(), Some(vec!["a".to_owned()]));
        assert_eq!(read::<Vec<String>>(&mut good, 16).await.unwrap(), Some(Vec::new()));
        assert_eq!(read::<Vec<String>>(&mut good, 16).await.unwrap(), None);
    }
}
