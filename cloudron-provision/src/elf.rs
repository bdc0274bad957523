//! The processor architecture that a program file is built for.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use cloudron_core::{Error, Result};

use crate::codes;

/// Returns the architecture that a Linux program is built for, in the notation of `uname -m`: `x86_64`, `aarch64`, or
/// `ELF machine N` for an unknown one.
///
/// # Errors
/// `not-a-program` if the file is not an ELF file; `file-missing` and similar codes.
pub fn architecture(path: &Path) -> Result<String> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(20).read_to_end(&mut head).map_err(|e| Error::io(path, e))?;
    let no_program = || Error::new(&codes::NOT_A_PROGRAM, format!("{} is no Linux program", path.display()));
    parse(&head).ok_or_else(no_program)
}

/// Parses `e_ident` and `e_machine` of an ELF header (System V ABI, chapter 4).
fn parse(head: &[u8]) -> Option<String> {
    let machine = head.get(18..20)?;
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let machine = [machine[0], machine[1]];
    let machine = if head[5] == 2 { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    Some(match machine {
        3 => "i686".into(),
        40 => "armv7l".into(),
        62 => "x86_64".into(),
        183 => "aarch64".into(),
        243 => "riscv64".into(),
        other => format!("ELF machine {other}"),
    })
}

/// Returns whether a program for one architecture runs on a machine with the given `uname -m`.
pub fn runs_on(program: &str, machine: &str) -> bool {
    let same = |name: &str| match name {
        "amd64" => "x86_64".to_string(),
        "arm64" => "aarch64".to_string(),
        other => other.to_string(),
    };
    same(program) == same(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_built_for_this_machine() {
        let here = architecture(&std::env::current_exe().unwrap()).unwrap();
        assert!(runs_on(&here, std::env::consts::ARCH), "{here}");
    }

    #[test]
    fn a_script_is_no_program() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "#!/bin/sh\nexit 0 # long enough\n").unwrap();
        assert!(architecture(file.path()).unwrap_err().is(&codes::NOT_A_PROGRAM));
    }

    #[test]
    fn arm_and_intel_are_told_apart() {
        let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\xb7\0".to_vec();
        assert_eq!(parse(&head).as_deref(), Some("aarch64"));
        head[18] = 62;
        assert_eq!(parse(&head).as_deref(), Some("x86_64"));
        assert!(runs_on("aarch64", "arm64") && !runs_on("aarch64", "x86_64"));
    }
}
