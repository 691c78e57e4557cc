//! Office documents are zips of XML. Parts are unpacked while they are read, under limits that hold for the file.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{BufReader, Cursor, Read};
use std::rc::Rc;

use zip::ZipArchive;
use zip::result::ZipError;

use super::format::COMPOUND_FILE;
use super::work::Work;
use super::xml::{Event, Xml};
use super::{DocumentError, limits};

/// What an unpacking stream and its package share.
#[derive(Debug, Default)]
pub(super) struct Meter {
    unpacked: Cell<u64>,
    broken: Cell<Option<&'static str>>,
}

impl Meter {
    /// Which limit the package broke.
    pub(super) fn broken(&self) -> Option<&'static str> {
        self.broken.get()
    }
}

/// A zipped document.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    meter: Rc<Meter>,
    format: &'static str,
    work: &'a Work,
    /// The size of the file.
    bytes: u64,
}

/// Where a part refers to.
#[derive(Debug)]
pub(super) struct Relation {
    /// The path of a part, or an address outside.
    pub(super) target: String,
    /// The last word of its type: `hyperlink`, `notesSlide`.
    pub(super) kind: String,
}

impl<'a> Package<'a> {
    pub(super) fn open(
        bytes: &'a [u8],
        format: &'static str,
        work: &'a Work,
    ) -> Result<Self, DocumentError> {
        if bytes.starts_with(COMPOUND_FILE) {
            return Err(compound(bytes));
        }
        // Every entry has this mark; counting first keeps the library from making room for what is only claimed.
        let entries = bytes
            .windows(4)
            .filter(|mark| *mark == b"PK\x01\x02")
            .count();
        if entries > limits::ENTRIES {
            return Err(DocumentError::Bomb {
                what: "too many parts",
            });
        }
        let archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|_| DocumentError::Malformed {
                format,
                reason: "it is cut off or damaged".to_owned(),
            })?;
        if archive.has_duplicate_names() {
            return Err(DocumentError::Malformed {
                format,
                reason: "it has several parts of the same name".to_owned(),
            });
        }
        Ok(Self {
            archive,
            meter: Rc::default(),
            format,
            work,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        })
    }

    /// Whether there is such a part.
    pub(super) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// That a part which must be there is not.
    pub(super) fn missing(&self) -> DocumentError {
        DocumentError::Malformed {
            format: self.format,
            reason: "a part of it is missing".to_owned(),
        }
    }

    /// The XML of a part; `None` when there is no such part.
    pub(super) fn xml(
        &mut self,
        name: &str,
    ) -> Result<Option<Xml<'a, BufReader<impl Read + use<'_, 'a>>>>, DocumentError> {
        let (format, work) = (self.format, self.work);
        let meter = Rc::clone(&self.meter);
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(ZipError::UnsupportedArchive(reason)) if reason.contains("assword") => {
                return Err(DocumentError::Encrypted { what: format });
            }
            Err(_) => {
                return Err(DocumentError::Malformed {
                    format,
                    reason: "a part of it is damaged".to_owned(),
                });
            }
        };
        let metered = Metered {
            // What the file says of a part may be more than there is of the file.
            packed: file.compressed_size().min(self.bytes),
            inner: file,
            here: 0,
            meter: Rc::clone(&meter),
        };
        Ok(Some(Xml::new(
            BufReader::with_capacity(32 << 10, metered),
            format,
            work,
            Some(meter),
        )))
    }

    /// The part that the package is about, as the package itself says (ECMA-376 Part 2, the relation of the kind
    /// `officeDocument`), or the one of the usual name.
    pub(super) fn main(&mut self, usual: &str) -> Result<String, DocumentError> {
        let relations = self.relations("")?;
        Ok(self.related(&relations, "officeDocument", usual))
    }

    /// The part of this kind that is referred to, or the one of the usual name.
    pub(super) fn related(
        &self,
        relations: &HashMap<String, Relation>,
        kind: &str,
        usual: &str,
    ) -> String {
        relations
            .iter()
            .filter(|(_, to)| to.kind == kind && self.has(&to.target))
            // Of several always the same.
            .min_by_key(|(id, _)| *id)
            .map_or_else(|| usual.to_owned(), |(_, to)| to.target.clone())
    }

    /// What a part refers to, by the identifiers it uses; of the package itself for a part without a name.
    pub(super) fn relations(
        &mut self,
        part: &str,
    ) -> Result<HashMap<String, Relation>, DocumentError> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        let folder = folder.to_owned();
        let path = if folder.is_empty() {
            format!("_rels/{name}.rels")
        } else {
            format!("{folder}/_rels/{name}.rels")
        };
        let mut relations = HashMap::new();
        let Some(mut xml) = self.xml(&path)? else {
            return Ok(relations);
        };
        loop {
            match xml.next()? {
                Event::Open(tag) if tag.name() == "Relationship" => {
                    let (Some(id), Some(target)) = (tag.get("Id"), tag.get("Target")) else {
                        continue;
                    };
                    if relations.len() >= limits::RELATIONS {
                        return Ok(relations);
                    }
                    if target.len() > limits::ADDRESS_BYTES {
                        continue;
                    }
                    let kind = tag.get("Type").unwrap_or_default();
                    let outside = tag.get("TargetMode").as_deref() == Some("External");
                    relations.insert(
                        id,
                        Relation {
                            target: if outside {
                                target
                            } else {
                                resolve(&folder, &target)
                            },
                            kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                        },
                    );
                }
                Event::Eof => return Ok(relations),
                Event::Open(_) | Event::Close(_) | Event::Text(_) => {}
            }
        }
    }
}

/// A path from a part in `folder`, as the name of a part.
fn resolve(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').filter(|part| !part.is_empty()).collect()
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}

/// A compound file is an encrypted document, or one of the formats before 2007.
fn compound(bytes: &[u8]) -> DocumentError {
    let mark: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    if bytes.windows(mark.len()).any(|part| part == mark) {
        return DocumentError::Encrypted { what: "document" };
    }
    DocumentError::Unsupported {
        what: "an Office file of the old kind (.doc, .xls, .ppt)",
        instead: ".docx, .xlsx, .pptx or PDF",
    }
}

/// Counts what comes out of a part.
struct Metered<R> {
    inner: R,
    packed: u64,
    here: u64,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.here = self.here.saturating_add(bytes);
        let all = self.meter.unpacked.get().saturating_add(bytes);
        self.meter.unpacked.set(all);
        let broken = if self.here > limits::PART_BYTES {
            Some("one part is too large")
        } else if all > limits::UNPACKED_BYTES {
            Some("it is too large as a whole")
        } else if self.here > limits::RATIO_FROM && self.here / self.packed.max(1) > limits::RATIO {
            Some("a part is packed too well to be honest")
        } else {
            None
        };
        if broken.is_some() {
            self.meter.broken.set(broken);
            return Err(std::io::Error::other("over the limit"));
        }
        Ok(read)
    }
}
