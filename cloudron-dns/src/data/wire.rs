//! Record data in wire format (RFC 1035, section 3.3 and the RFCs of each type), with uncompressed names.

use crate::data::Text;
use crate::{Error, Name, RecordData, RecordType, Result, codes};

impl RecordData {
    /// Returns the data in wire format, with uncompressed names.
    pub fn to_rdata(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::A(address) => out.extend(address.octets()),
            Self::Aaaa(address) => out.extend(address.octets()),
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => put_name(&mut out, name),
            Self::Mx { preference, exchange } => {
                out.extend(preference.to_be_bytes());
                put_name(&mut out, exchange);
            }
            Self::Txt(text) => {
                for string in text.strings() {
                    out.push(string.len() as u8);
                    out.extend(string);
                }
            }
            Self::Srv { priority, weight, port, target } => {
                for number in [priority, weight, port] {
                    out.extend(number.to_be_bytes());
                }
                put_name(&mut out, target);
            }
            Self::Caa { flags, tag, value } => {
                out.push(*flags);
                out.push(tag.len() as u8);
                out.extend(tag.as_bytes());
                out.extend(value);
            }
            Self::Unknown { rdata, .. } => out.extend(rdata),
        }
        out
    }

    /// Parses data in wire format, with uncompressed names. Data of a type that this crate does not interpret is kept
    /// as bytes.
    ///
    /// # Errors
    /// `dns-record` if the bytes are not valid for the type.
    pub fn from_rdata(rtype: RecordType, rdata: &[u8]) -> Result<Self> {
        let mut input = Input(rdata);
        let data = match rtype {
            RecordType::A => input.array().map(|b: [u8; 4]| Self::A(b.into())),
            RecordType::AAAA => input.array().map(|b: [u8; 16]| Self::Aaaa(b.into())),
            RecordType::CNAME => input.name().map(Self::Cname),
            RecordType::NS => input.name().map(Self::Ns),
            RecordType::PTR => input.name().map(Self::Ptr),
            RecordType::MX => mx(&mut input),
            RecordType::TXT => txt(&mut input),
            RecordType::SRV => srv(&mut input),
            RecordType::CAA => caa(&mut input),
            _ => {
                let rdata = super::fields::canonical(rtype, rdata).unwrap_or_else(|| rdata.to_vec());
                return Ok(Self::Unknown { rtype, rdata });
            }
        };
        data.filter(|_| input.0.is_empty()).ok_or_else(|| {
            Error::new(&codes::RECORD, format!("{} bytes are not the data of a {rtype} record", rdata.len()))
        })
    }
}

fn put_name(out: &mut Vec<u8>, name: &Name) {
    for label in name.raw_labels() {
        out.push(label.len() as u8);
        out.extend(label);
    }
    out.push(0);
}

/// Returns a name in wire format.
pub(super) fn name_bytes(name: &Name) -> Vec<u8> {
    let mut out = Vec::new();
    put_name(&mut out, name);
    out
}

/// Parses a name at the start of data and removes it.
pub(super) fn take_name(rest: &mut &[u8]) -> Option<Name> {
    let mut input = Input(rest);
    let name = input.name()?;
    *rest = input.0;
    Some(name)
}

fn mx(input: &mut Input<'_>) -> Option<RecordData> {
    Some(RecordData::Mx { preference: input.number()?, exchange: input.name()? })
}

fn txt(input: &mut Input<'_>) -> Option<RecordData> {
    let mut strings = Vec::new();
    while !input.0.is_empty() {
        strings.push(input.string()?.to_vec());
    }
    (!strings.is_empty()).then(|| RecordData::Txt(Text::from_strings(strings)))
}

fn srv(input: &mut Input<'_>) -> Option<RecordData> {
    let (priority, weight, port) = (input.number()?, input.number()?, input.number()?);
    Some(RecordData::Srv { priority, weight, port, target: input.name()? })
}

fn caa(input: &mut Input<'_>) -> Option<RecordData> {
    let [flags] = input.array()?;
    let tag = std::str::from_utf8(input.string()?).ok()?.to_ascii_lowercase();
    let valid = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    valid.then(|| RecordData::Caa { flags, tag, value: std::mem::take(&mut input.0).to_vec() })
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let [length] = self.array()?;
        self.take(usize::from(length))
    }

    fn name(&mut self) -> Option<Name> {
        let mut labels = Vec::new();
        loop {
            let label = self.string()?;
            if label.is_empty() {
                return Name::from_labels(labels).ok();
            }
            labels.push(label);
        }
    }
}
