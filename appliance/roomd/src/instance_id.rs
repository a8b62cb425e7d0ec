//! Which box this is: a random identity, made at the first start and kept in the state directory.
//!
//! Registrars tell the bindings of one box from those of another by it (RFC 5626 section 4.1). A box
//! that cannot keep it goes on with a new one: its registrar holds on to the old binding until that
//! has expired, and no longer.

use std::fs;
use std::io;
use std::path::Path;

use sip::endpoint::InstanceId;

const FILE_NAME: &str = "instance-id";

/// The identity that is kept in `directory`, which exists; made from `random` where there is none.
#[must_use]
pub fn load_or_create(directory: &Path, random: [u8; 16]) -> InstanceId {
    let path = directory.join(FILE_NAME);
    let shown = path.display();
    match fs::read_to_string(&path) {
        Ok(text) => match InstanceId::parse(&text) {
            Some(kept) => return kept,
            None => tracing::warn!(path = %shown, "no identity of a box: a new one is made"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %shown, %error, "not readable: a new one is made"),
    }
    let made = InstanceId::from_random(random);
    if let Err(error) = config::write_atomically(&path, format!("{made}\n").as_bytes()) {
        tracing::warn!(path = %shown, %error, "the identity of this box is not kept");
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let first = load_or_create(directory.path(), [1; 16]);
        assert_eq!(load_or_create(directory.path(), [2; 16]), first);
        assert_eq!(first, InstanceId::from_random([1; 16]));
    }

    #[test]
    fn what_is_no_identity_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        for damage in [&b"urn:uuid:"[..], b"\xff\xfe", b""] {
            fs::write(directory.path().join(FILE_NAME), damage).unwrap();
            let made = load_or_create(directory.path(), [3; 16]);
            assert_eq!(load_or_create(directory.path(), [4; 16]), made);
        }
    }
}
