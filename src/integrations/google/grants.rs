//! Which grants a Drive tool works with. Google's descriptions list for each method every scope that it takes; wider
//! scopes stand beside narrower ones, so that a partial grant is honoured tool by tool.

use super::auth::{DOCUMENTS, DRIVE, DRIVE_FILE, DRIVE_READ, PRESENTATIONS, SPREADSHEETS};
use crate::kit::tool::Needs;

/// Finds files and changes what is not their content.
const DRIVE_METADATA: &str = "https://www.googleapis.com/auth/drive.metadata";
/// Finds files.
const DRIVE_METADATA_READ: &str = "https://www.googleapis.com/auth/drive.metadata.readonly";
const DOCUMENTS_READ: &str = "https://www.googleapis.com/auth/documents.readonly";
const SPREADSHEETS_READ: &str = "https://www.googleapis.com/auth/spreadsheets.readonly";
const PRESENTATIONS_READ: &str = "https://www.googleapis.com/auth/presentations.readonly";

/// All with which files are found.
pub(super) const FINDERS: &[&str] = &[
    DRIVE_READ,
    DRIVE,
    DRIVE_METADATA_READ,
    DRIVE_METADATA,
    DRIVE_FILE,
];
/// Those with which all files of the person are found; what they do not show is not there.
pub(super) const SEE_ALL: &[&str] = &[DRIVE_READ, DRIVE, DRIVE_METADATA_READ, DRIVE_METADATA];
/// Those with which all shared drives are listed.
pub(super) const DRIVES: &[&str] = &[DRIVE_READ, DRIVE];
/// Names and properties of files.
pub(super) const FIND: Needs = Needs::Any(FINDERS);
/// What is in files; with the scope of an editor, only what that editor opens.
pub(super) const READ: Needs = Needs::Any(&[
    DRIVE_READ,
    DRIVE,
    DRIVE_FILE,
    DOCUMENTS_READ,
    DOCUMENTS,
    SPREADSHEETS_READ,
    SPREADSHEETS,
    PRESENTATIONS_READ,
    PRESENTATIONS,
]);
/// What is in files of any kind, and comments on them.
pub(super) const READ_FILES: Needs = Needs::Any(&[DRIVE_READ, DRIVE, DRIVE_FILE]);
/// What an editor opens by its id, wherever it was made: the scopes that are the editor's own.
pub(super) const OWN_DOCS: &[&str] = &[DOCUMENTS, DOCUMENTS_READ];
/// The same for spreadsheets.
pub(super) const OWN_SHEETS: &[&str] = &[SPREADSHEETS, SPREADSHEETS_READ];
/// The same for presentations.
pub(super) const OWN_SLIDES: &[&str] = &[PRESENTATIONS, PRESENTATIONS_READ];
/// Files made, changed and shared; with `drive.file` only those that this app made or was handed.
pub(super) const WRITE: Needs = Needs::Any(&[DRIVE_FILE, DRIVE]);
pub(super) const READ_DOCS: Needs =
    Needs::Any(&[DOCUMENTS_READ, DOCUMENTS, DRIVE_READ, DRIVE, DRIVE_FILE]);
pub(super) const WRITE_DOCS: Needs = Needs::Any(&[DOCUMENTS, DRIVE, DRIVE_FILE]);
pub(super) const READ_SHEETS: Needs = Needs::Any(&[
    SPREADSHEETS_READ,
    SPREADSHEETS,
    DRIVE_READ,
    DRIVE,
    DRIVE_FILE,
]);
pub(super) const WRITE_SHEETS: Needs = Needs::Any(&[SPREADSHEETS, DRIVE, DRIVE_FILE]);
pub(super) const READ_SLIDES: Needs = Needs::Any(&[
    PRESENTATIONS_READ,
    PRESENTATIONS,
    DRIVE_READ,
    DRIVE,
    DRIVE_FILE,
]);
pub(super) const WRITE_SLIDES: Needs = Needs::Any(&[PRESENTATIONS, DRIVE, DRIVE_FILE]);
