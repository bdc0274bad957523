//! Parses the bytes of a message: compressed names, and records whose data may contain some.

use super::message::Record;

/// The parts of a type's data, for types whose names may be compressed (RFC 3597, section 4).
enum Part {
    Name,
    Bytes(usize),
    String,
}

fn layout(rtype: u16) -> &'static [Part] {
    use Part::{Bytes, Name, String};
    match rtype {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR, DNAME
        2..=5 | 7..=9 | 12 | 39 => &[Name],
        // SOA
        6 => &[Name, Name, Bytes(20)],
        // MINFO, RP
        14 | 17 => &[Name, Name],
        // MX, AFSDB, RT, KX
        15 | 18 | 21 | 36 => &[Bytes(2), Name],
        // PX
        26 => &[Bytes(2), Name, Name],
        // SRV
        33 => &[Bytes(6), Name],
        // NAPTR
        35 => &[Bytes(4), String, String, String, Name],
        _ => &[],
    }
}

/// The message, and the current position.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    pub(super) fn word(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// Parses a name and decompresses it. Pointers only lead backwards, so that parsing ends.
    pub(super) fn name(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut jumped: Option<Input<'a>> = None;
        let mut before = self.at;
        loop {
            let input = jumped.as_mut().unwrap_or(self);
            let length = *input.take(1)?.first()?;
            match length {
                0 => break,
                1..=63 => {
                    out.push(length);
                    out.extend(input.take(usize::from(length))?);
                }
                0xc0.. => {
                    let low = *input.take(1)?.first()?;
                    let to = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if to >= before {
                        return None;
                    }
                    before = to;
                    jumped = Some(Input { bytes: self.bytes, at: to });
                }
                _ => return None,
            }
            if out.len() > 254 {
                return None;
            }
        }
        out.push(0);
        Some(out)
    }

    pub(super) fn record(&mut self) -> Option<Record> {
        let owner = self.name()?;
        let (rtype, class) = (self.word()?, self.word()?);
        let ttl = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        let length = usize::from(self.word()?);
        let rdata = self.rdata(rtype, length)?;
        Some(Record { owner, rtype, class, ttl, rdata })
    }

    fn rdata(&mut self, rtype: u16, length: usize) -> Option<Vec<u8>> {
        let end = self.at.checked_add(length)?;
        let mut out = Vec::new();
        // Updates and their answers have records without data.
        for part in layout(rtype).iter().filter(|_| length > 0) {
            match part {
                Part::Name => out.extend(self.name()?),
                Part::Bytes(count) => out.extend(self.take(*count)?),
                Part::String => {
                    let count = *self.take(1)?.first()?;
                    out.push(count);
                    out.extend(self.take(usize::from(count))?);
                }
            }
        }
        out.extend(self.take(end.checked_sub(self.at)?)?);
        Some(out)
    }
}
