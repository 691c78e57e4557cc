//! The key ring of `WORKBENCH_ENCRYPTION_KEYS`: `kid:base64[,kid:base64…]`, the first key seals, all open.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::KeyInit;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// What is wrong with the text of a ring. Never holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// There is no key.
    #[error("holds no key; `workbench-mcp keys generate` prints one")]
    Empty,
    /// An entry is not `kid:base64`.
    #[error("entry {0} is not `id:base64`, with an id of 1 to 24 characters of a-z, 0-9 and `-`")]
    Form(usize),
    /// The key of this id is not 32 bytes of base64.
    #[error(
        "key `{0}` is not 32 bytes in base64; `workbench-mcp keys generate` prints one that is"
    )]
    Length(String),
    /// The key of this id is one byte repeated: a placeholder.
    #[error("key `{0}` is a placeholder; `workbench-mcp keys generate` prints a real one")]
    Placeholder(String),
    /// The id, or its key, stands twice.
    #[error("key `{0}` stands twice")]
    Twice(String),
}

/// One entry as read.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) key: Zeroizing<[u8; 32]>,
}

/// Reads a ring's text. Entries are separated by commas or line ends; lines that begin with `#` are comments, so that a
/// mounted file can explain itself.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, InvalidKeys> {
    let mut entries: Vec<Entry> = Vec::new();
    let words = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        let (id, encoded) = word.split_once(':').ok_or(InvalidKeys::Form(at + 1))?;
        let well_formed = (1..=24).contains(&id.len())
            && id
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !well_formed {
            return Err(InvalidKeys::Form(at + 1));
        }
        let decoded = STANDARD
            .decode(encoded)
            .or_else(|_| STANDARD_NO_PAD.decode(encoded))
            .or_else(|_| URL_SAFE_NO_PAD.decode(encoded))
            .map(Zeroizing::new)
            .map_err(|_| InvalidKeys::Length(id.to_owned()))?;
        let key: [u8; 32] = decoded
            .as_slice()
            .try_into()
            .map_err(|_| InvalidKeys::Length(id.to_owned()))?;
        let key = Zeroizing::new(key);
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(InvalidKeys::Placeholder(id.to_owned()));
        }
        if entries
            .iter()
            .any(|other| other.id == id || other.key == key)
        {
            return Err(InvalidKeys::Twice(id.to_owned()));
        }
        entries.push(Entry {
            id: id.to_owned(),
            key,
        });
    }
    if entries.is_empty() {
        Err(InvalidKeys::Empty)
    } else {
        Ok(entries)
    }
}

/// Key-encryption keys.
pub struct KeyRing {
    first: Kek,
    others: Vec<Kek>,
}

struct Kek {
    id: String,
    cipher: Aes256Gcm,
    check: Vec<u8>,
}

impl KeyRing {
    /// Reads `kid:base64[,kid:base64…]`.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let mut keks = Vec::new();
        for Entry { id, key } in entries(text)? {
            let length = || InvalidKeys::Length(id.clone());
            let cipher = Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| length())?;
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).map_err(|_| length())?;
            mac.update(b"workbench/check/v1");
            let check = mac.finalize().into_bytes()[..8].to_vec();
            keks.push(Kek { id, cipher, check });
        }
        let mut keks = keks.into_iter();
        let first = keks.next().ok_or(InvalidKeys::Empty)?;
        Ok(Self {
            first,
            others: keks.collect(),
        })
    }

    fn all(&self) -> impl Iterator<Item = &Kek> {
        std::iter::once(&self.first).chain(&self.others)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(|kek| kek.id.as_str())
    }

    pub(super) fn active(&self) -> (&str, &Aes256Gcm) {
        (&self.first.id, &self.first.cipher)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Aes256Gcm> {
        self.all().find(|kek| kek.id == id).map(|kek| &kek.cipher)
    }

    pub(super) fn check_value(&self, id: &str) -> Option<Vec<u8>> {
        self.all()
            .find(|kek| kek.id == id)
            .map(|kek| kek.check.clone())
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

/// A fresh entry `kid:base64` for a ring; `None` without randomness.
pub fn generate_entry(id: &str) -> Option<String> {
    let mut key = Zeroizing::new([0u8; 32]);
    getrandom::fill(key.as_mut()).ok()?;
    Some(format!("{id}:{}", STANDARD.encode(key.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_rings_are_refused_by_name() {
        let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
        let same = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for (text, expected) in [
            (String::new(), InvalidKeys::Empty),
            ("# only a comment\n".to_owned(), InvalidKeys::Empty),
            ("no-colon".to_owned(), InvalidKeys::Form(1)),
            (format!("a:{key},UPPER:{key}"), InvalidKeys::Form(2)),
            ("a:c2hvcnQ=".to_owned(), InvalidKeys::Length("a".to_owned())),
            ("a:%%%".to_owned(), InvalidKeys::Length("a".to_owned())),
            (
                format!("a:{same}"),
                InvalidKeys::Placeholder("a".to_owned()),
            ),
            (
                format!("a:{key},b:{key}"),
                InvalidKeys::Twice("b".to_owned()),
            ),
        ] {
            assert_eq!(KeyRing::parse(&text).err(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let text = [generate_entry("b"), generate_entry("a")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        let ring = KeyRing::parse(&format!("# rotated today\n{}\n", text.join("\n")));
        assert_eq!(
            ring.as_ref().map(|ring| ring.ids().collect::<Vec<_>>()),
            Ok(vec!["b", "a"])
        );
    }
}
