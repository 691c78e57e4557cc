//! Contents on their way to Drive: with the metadata in one request while they are small, in an upload session else.

use std::fmt::Write as _;

use http::{HeaderName, Method};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::model::{FIELDS, File};
use crate::kit::client::Request;
use crate::kit::error::ProviderError;
use crate::kit::tool::Cx;

/// Largest content sent in one request; Google advises sessions above 5 MB.
const SIMPLE_BYTES: usize = 5 * 1024 * 1024;
const CONTENT_TYPE: HeaderName = HeaderName::from_static("x-upload-content-type");

/// A content and what it is.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) media: String,
    pub(super) bytes: Vec<u8>,
}

/// Makes a file, or replaces the content of the one with this id.
pub(super) async fn upload(
    cx: &Cx,
    id: Option<&str>,
    metadata: &Value,
    content: Content,
) -> Result<File, ProviderError> {
    if content.bytes.len() <= SIMPLE_BYTES {
        let (media, body) = related(metadata, &content);
        return request(cx, id, "multipart").body(&media, body).send().await;
    }
    let session = request(cx, id, "resumable")
        .header(CONTENT_TYPE, &content.media)
        .json(metadata)
        .bytes()
        .await?;
    let address = session
        .header("location")
        .ok_or_else(|| ProviderError::Unavailable {
            reason: "opened an upload without saying where".to_owned(),
        })?;
    cx.progress.step(1, Some(2), "uploading");
    cx.api
        .follow(Method::PUT, address)
        .body(&content.media, content.bytes)
        .send()
        .await
}

fn request(cx: &Cx, id: Option<&str>, kind: &str) -> Request {
    let base = ["upload", "drive", "v3", "files"];
    let request = match id {
        Some(id) => cx.api.patch(&[base[0], base[1], base[2], base[3], id]),
        None => cx.api.post(&base),
    };
    request
        .query("uploadType", kind)
        .query("supportsAllDrives", true)
        .query("fields", FIELDS)
}

/// `multipart/related` (RFC 2387) of metadata and content. The boundary is made from both, so that it cannot stand in
/// them and a repetition is the same request.
fn related(metadata: &Value, content: &Content) -> (String, Vec<u8>) {
    let metadata = metadata.to_string();
    let hash = Sha256::new()
        .chain_update(&metadata)
        .chain_update(&content.bytes)
        .finalize();
    let mut boundary = String::from("part-");
    for byte in &hash[..12] {
        let _ = write!(boundary, "{byte:02x}");
    }
    let mut body = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n--{boundary}\r\nContent-Type: {}\r\n\r\n",
        content.media
    )
    .into_bytes();
    body.extend_from_slice(&content.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/related; boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_same_content_makes_the_same_request() {
        let content = |text: &str| Content {
            media: "text/plain".to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        let metadata = json!({ "name": "a" });
        let (media, body) = related(&metadata, &content("hello"));
        assert_eq!(
            related(&metadata, &content("hello")),
            (media.clone(), body.clone())
        );
        assert_ne!(related(&metadata, &content("other")).0, media);
        let boundary = media.rsplit('=').next().unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        assert_eq!(text.matches(boundary).count(), 3);
        assert!(
            text.ends_with(&format!("\r\n\r\nhello\r\n--{boundary}--\r\n")),
            "{text}"
        );
    }
}
