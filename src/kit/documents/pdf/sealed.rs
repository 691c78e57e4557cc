//! Files that anybody may read and not everybody may change: they are encrypted, and their password is empty
//! (ISO 32000-2, section 7.6.4.1).
//!
//! The library unpacks such a file before it shows its caller any object. So it is given the file with the entry that says
//! how it is encrypted under another name: it then reads objects as they are, under the limits of the others, and they are
//! decrypted here.

use lopdf::encryption::{EncryptionState, decrypt_object};
use lopdf::xref::XrefEntry;
use lopdf::{Document, Error, FilterFunc, Object, ObjectId, ObjectStream, Stream};

use super::super::DocumentError;
use super::STRUCTURE_BYTES;

/// The entry of a trailer that says how the file is encrypted.
const NAME: &[u8] = b"Encrypt";
/// What it is called here, as long and unknown to everybody.
const OTHER_NAME: &[u8] = b"Encrypx";
/// What a stream of objects is called until it can be read.
const PUT_OFF: &[u8] = b"SealedObjStm";

/// The file with the entry under its other name. `None` when no such name is in it.
pub(super) fn renamed(bytes: &[u8]) -> Result<Option<Vec<u8>>, DocumentError> {
    let mut renamed: Option<Vec<u8>> = None;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        let rest = bytes.get(at + 1..).unwrap_or_default();
        if !is_name(rest) {
            continue;
        }
        if !rest.starts_with(NAME) {
            // Written with the codes of its letters, which is allowed, and nobody does who has nothing to hide.
            return Err(DocumentError::Encrypted { what: "PDF" });
        }
        let copy = renamed.get_or_insert_with(|| bytes.to_vec());
        if let Some(place) = copy.get_mut(at + 1..=at + NAME.len()) {
            place.copy_from_slice(OTHER_NAME);
        }
    }
    Ok(renamed)
}

/// Whether these bytes begin with the entry's name and nothing longer. A name may write any of its letters as `#` and two
/// digits.
fn is_name(bytes: &[u8]) -> bool {
    let mut name = Vec::with_capacity(NAME.len() + 1);
    let mut at = 0;
    while name.len() <= NAME.len() {
        match bytes.get(at) {
            Some(b'#') => {
                let digits = bytes.get(at + 1..at + 3);
                let letter = digits
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let Some(letter) = letter else { break };
                name.push(letter);
                at += 3;
            }
            Some(letter) if letter.is_ascii_alphanumeric() => {
                name.push(*letter);
                at += 1;
            }
            _ => break,
        }
    }
    name == NAME
}

/// Keeps a stream of objects from being unpacked.
pub(super) fn put_off(stream: &mut Stream) {
    stream.dict.set("Type", Object::Name(PUT_OFF.to_vec()));
}

/// Whether a file that was read under the other name is encrypted.
pub(super) fn is_sealed(document: &Document) -> bool {
    document.trailer.has(OTHER_NAME)
}

/// Decrypts a file with the empty password. `watch` sees each object as it does those of other files.
pub(super) fn open(mut document: Document, watch: FilterFunc) -> Result<Document, Error> {
    let how = match document.trailer.remove(OTHER_NAME) {
        Some(Object::Reference(id)) => id,
        Some(object) => document.add_object(object),
        None => return Ok(document),
    };
    document.trailer.set(NAME, Object::Reference(how));
    let state = document
        .authenticate_user_password("")
        .and_then(|()| EncryptionState::decode(&document, ""))
        .map_err(|_| Error::InvalidPassword)?;
    let mut streams: Vec<ObjectId> = Vec::new();
    for (id, object) in &mut document.objects {
        if *id == how {
            continue;
        }
        // What cannot be decrypted is damaged like what cannot be unpacked; the rest can still be read.
        let _ = decrypt_object(&state, *id, object);
        if let Object::Stream(stream) = object
            && stream.dict.has_type(PUT_OFF)
        {
            streams.push(*id);
        }
    }
    for id in streams {
        if let Some(Object::Stream(stream)) = document.objects.remove(&id) {
            unpack(&mut document, id, stream, watch);
        }
    }
    Ok(document)
}

/// Puts the objects of a stream beside the others.
fn unpack(document: &mut Document, id: ObjectId, mut stream: Stream, watch: FilterFunc) {
    stream.dict.set("Type", Object::Name(b"ObjStm".to_vec()));
    let Some((_, Object::Stream(stream))) = watch(id, &mut Object::Stream(stream)) else {
        return;
    };
    let Ok(unpacked) = ObjectStream::new_with_limit(&stream, Some(STRUCTURE_BYTES)) else {
        return;
    };
    for (member, mut object) in unpacked.objects {
        // A later version of the file may hold another one.
        let is_newest = match document.reference_table.get(member.0) {
            Some(XrefEntry::Compressed { container, .. }) => *container == id.0,
            Some(_) => false,
            None => true,
        };
        if is_newest && let Some((_, object)) = watch(member, &mut object) {
            document.objects.entry(member).or_insert(object);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use lopdf::encryption::crypt_filters::{Aes128CryptFilter, CryptFilter};
    use lopdf::{EncryptionVersion, Permissions, StringFormat};

    use super::*;
    use crate::kit::documents::samples::{LOCKED, pdf};
    use crate::kit::documents::work::{Work, read};
    use crate::kit::documents::{Format, Wanted};

    fn text(bytes: &[u8]) -> Result<String, DocumentError> {
        let wanted = Wanted {
            max_chars: 10_000,
            ..Wanted::default()
        };
        Ok(read(bytes, Format::Pdf, &Work::new(wanted))?.text)
    }

    /// The ways before AES-256, with this password for reading.
    fn encrypted(plain: &[u8], user_password: &str) -> Vec<Vec<u8>> {
        let mut document = Document::load_mem(plain).unwrap();
        let id = || Object::String(b"0123456789abcdef".to_vec(), StringFormat::Literal);
        document.trailer.set("ID", Object::Array(vec![id(), id()]));
        let aes: Arc<dyn CryptFilter> = Arc::new(Aes128CryptFilter);
        let (owner_password, permissions) = ("owner", Permissions::empty());
        let versions = [
            EncryptionVersion::V1 {
                document: &document,
                owner_password,
                user_password,
                permissions,
            },
            EncryptionVersion::V2 {
                document: &document,
                owner_password,
                user_password,
                key_length: 128,
                permissions,
            },
            EncryptionVersion::V4 {
                document: &document,
                encrypt_metadata: true,
                crypt_filters: BTreeMap::from([(b"StdCF".to_vec(), aes)]),
                stream_filter: b"StdCF".to_vec(),
                string_filter: b"StdCF".to_vec(),
                owner_password,
                user_password,
                permissions,
            },
        ];
        let write = |version| {
            let mut copy = document.clone();
            copy.encrypt(&EncryptionState::try_from(version).unwrap())
                .unwrap();
            let mut out = Vec::new();
            copy.save_to(&mut out).unwrap();
            out
        };
        versions.map(write).into()
    }

    #[test]
    fn what_anybody_may_read_is_read() {
        let plain = pdf(&[vec!["The invoice".to_owned(), "of May".to_owned()]]);
        for file in encrypted(&plain, "") {
            assert_eq!(text(&file), text(&plain));
        }
        // With packed objects, by a program that is not ours.
        for file in LOCKED {
            assert_eq!(
                text(file).unwrap(),
                "## Page 1\n\nThe invoice of May\n\n## Page 2\n\nTo be paid by June"
            );
        }
    }

    #[test]
    fn what_has_a_password_is_not() {
        let plain = pdf(&[vec!["The invoice".to_owned()]]);
        for file in encrypted(&plain, "secret") {
            assert_eq!(text(&file), Err(DocumentError::Encrypted { what: "PDF" }));
        }
    }

    #[test]
    fn a_text_may_speak_of_it() {
        let plain = pdf(&[vec!["The name is /Encrypt here".to_owned()]]);
        assert_eq!(text(&plain).unwrap(), "The name is /Encrypt here");
    }
}
