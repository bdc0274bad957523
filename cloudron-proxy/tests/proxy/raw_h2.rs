//! HTTP/2 written by hand (RFC 9113, RFC 7541), for what no library sends.

/// A field, as its bytes are to be.
pub(crate) type Field<'a> = (&'a [u8], &'a [u8]);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Literal fields without indexing and without Huffman (RFC 7541, section 6.2.2).
fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let text = |bytes: &[u8]| {
        assert!(bytes.len() < 127);
        [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

pub(crate) fn get(host: &str) -> Vec<Field<'_>> {
    vec![(b":method", b"GET"), (b":scheme", b"https"), (b":authority", host.as_bytes()), (b":path", b"/")]
}

/// The preface and a request on stream 1, which ends with its head or goes on.
pub(crate) fn opening(fields: &[Field<'_>], ends: bool) -> Vec<u8> {
    // SETTINGS_INITIAL_WINDOW_SIZE 2^31-1, and as much for the connection.
    let settings = frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]);
    let window = frame(8, 0, 0, &(0x7fff_ffff_u32 - 65_535).to_be_bytes());
    let head = frame(1, if ends { 5 } else { 4 }, 1, &block(fields));
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &window, &head].concat()
}

pub(crate) fn data(bytes: &[u8], ends: bool) -> Vec<u8> {
    frame(0, u8::from(ends), 1, bytes)
}

/// Acknowledges the proxy's settings.
pub(crate) fn acknowledge() -> Vec<u8> {
    frame(4, 1, 0, &[])
}

/// A head without an end, and so many frames that continue it without end (CVE-2024-27316).
pub(crate) fn endless_head(frames: usize) -> Vec<u8> {
    let first = frame(1, 1, 1, &block(&get("a.test")));
    let more = frame(9, 0, 1, &block(&[(b"x-endless", &[b'y'; 100])]));
    [first, more.repeat(frames)].concat()
}

/// Opens and resets a stream (CVE-2023-44487).
pub(crate) fn rapid_reset(stream: u32) -> Vec<u8> {
    let head = frame(1, 5, stream, &block(&get("a.test")));
    [head, frame(3, 0, stream, &8u32.to_be_bytes())].concat()
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response, by the first byte of its head: 0x88 is 200, 0x8c is 400 (RFC 7541, appendix A).
    Response(u8),
    /// `RST_STREAM`, `GOAWAY` or the end.
    Refused,
}

/// Returns what the first frame means that is about the request.
pub(crate) fn outcome(mut bytes: &[u8]) -> Option<Outcome> {
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let (kind, payload) = (bytes[3], bytes.get(9..9 + length)?);
        match kind {
            // A dynamic table size update may come first.
            1 => return payload.iter().find(|b| **b & 0xe0 != 0x20).map(|b| Outcome::Response(*b)),
            3 | 7 => return Some(Outcome::Refused),
            _ => bytes = &bytes[9 + length..],
        }
    }
    None
}
