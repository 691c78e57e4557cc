//! Sending the bytes of a file: at once, or in pieces through an upload session.

use http::header::{CONTENT_RANGE, IF_MATCH};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::model::{DriveItem, Place};
use crate::kit::client::{ProviderClient, Request};
use crate::kit::error::{ProviderError, ToolError};
use crate::kit::progress::Progress;
use crate::kit::tool::Cx;

/// Largest content that goes in one request; what is larger goes through a session.
const AT_ONCE: usize = 4 * 1024 * 1024;
/// A session's pieces must be multiples of this, save the last.
const UNIT: usize = 320 * 1024;
/// What we send as one piece.
const PIECE: usize = 10 * UNIT;
/// How often a session that broke is taken up again.
const MAX_RESUMES: u32 = 3;

/// Where the bytes go.
#[derive(Debug)]
pub(super) enum Target {
    /// Over this file, while it has this version.
    Over {
        /// The file.
        place: Place,
        /// Its eTag.
        etag: Option<String>,
    },
    /// Into this folder under a name that is not taken.
    Into {
        /// The folder.
        folder: Place,
        /// The new name.
        name: String,
    },
}

/// A session, and every answer of it before the last.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    #[serde(default)]
    upload_url: Option<String>,
    #[serde(default)]
    next_expected_ranges: Vec<String>,
}

impl Target {
    /// The path of `rest` of it. A new file is addressed by its folder and, between colons, its name.
    fn request(&self, cx: &Cx, method: &Method, rest: &str) -> Request {
        let send = |path: &[&str]| {
            if *method == Method::PUT {
                cx.api.put(path)
            } else {
                cx.api.post(path)
            }
        };
        match self {
            Self::Over { place, etag } => {
                let request = send(&place.path(&[rest]));
                match etag {
                    Some(etag) => request.header(IF_MATCH, etag),
                    None => request,
                }
            }
            Self::Into { folder, name } => {
                let folder_part = format!("{}:", folder.item);
                let name_part = format!("{name}:");
                send(&[
                    "v1.0",
                    "drives",
                    &folder.drive,
                    "items",
                    &folder_part,
                    &name_part,
                    rest,
                ])
            }
        }
    }
}

/// Sends the bytes and answers the file as it is then.
pub(super) async fn upload(
    cx: &Cx,
    target: &Target,
    media: &str,
    bytes: Vec<u8>,
) -> Result<DriveItem, ToolError> {
    if bytes.len() <= AT_ONCE {
        let request = target
            .request(cx, &Method::PUT, "content")
            .body(media, bytes);
        let request = match target {
            Target::Over { .. } => request,
            // Without it, a file that came there meanwhile would be replaced.
            Target::Into { .. } => request.query("@microsoft.graph.conflictBehavior", "fail"),
        };
        return Ok(request.send().await?);
    }
    let on_conflict = match target {
        Target::Over { .. } => "replace",
        Target::Into { .. } => "fail",
    };
    let session: Session = target
        .request(cx, &Method::POST, "createUploadSession")
        .json(&json!({ "item": { "@microsoft.graph.conflictBehavior": on_conflict } }))
        .send()
        .await?;
    let url = session
        .upload_url
        .ok_or_else(|| ProviderError::Unavailable {
            reason: "began an upload without an address for it".to_owned(),
        })?;
    let sent = pieces(&cx.api, &cx.progress, &url, &bytes, PIECE).await;
    if sent.is_err() {
        // Otherwise the pieces stay in the drive's quota until the session ends by itself.
        let _ = cx.api.follow(Method::DELETE, &url).anonymous().done().await;
    }
    Ok(sent?)
}

/// Sends the bytes to a session's address, which is a credential itself.
async fn pieces(
    api: &ProviderClient,
    progress: &Progress,
    url: &str,
    bytes: &[u8],
    piece: usize,
) -> Result<DriveItem, ProviderError> {
    let total = bytes.len();
    let mut from = 0;
    let mut resumes = 0;
    while from < total {
        progress.step(
            percent(from, total),
            Some(100),
            format!("{} of {} KB sent", from >> 10, total >> 10),
        );
        let to = total.min(from + piece);
        let range = format!("bytes {from}-{}/{total}", to - 1);
        let answered = api
            .follow(Method::PUT, url)
            .anonymous()
            .header(CONTENT_RANGE, &range)
            .body("application/octet-stream", bytes[from..to].to_vec())
            .bytes()
            .await;
        let state = match answered {
            Ok(answer) if answer.status == StatusCode::ACCEPTED.as_u16() => answer.body,
            Ok(answer) => {
                return serde_json::from_slice(&answer.body).map_err(|error| {
                    ProviderError::Unavailable {
                        reason: format!("answered an unreadable file ({error})"),
                    }
                });
            }
            Err(ProviderError::Timeout | ProviderError::Unavailable { .. })
                if resumes < MAX_RESUMES =>
            {
                resumes += 1;
                let state = api.follow(Method::GET, url).anonymous().bytes().await?;
                state.body
            }
            Err(error) => return Err(error),
        };
        let next = next(&state).filter(|next| *next <= total);
        // A session that says nothing goes on where this piece ended.
        from = next.unwrap_or(to);
    }
    Err(ProviderError::Unavailable {
        reason: "took all the bytes and did not say that the file is there".to_owned(),
    })
}

/// The first byte that the session waits for.
fn next(state: &[u8]) -> Option<usize> {
    let session: Session = serde_json::from_slice(state).ok()?;
    let range = session.next_expected_ranges.first()?;
    range.split('-').next()?.parse().ok()
}

fn percent(part: usize, whole: usize) -> u32 {
    u32::try_from(part.saturating_mul(100) / whole.max(1)).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::kit::client::{Bases, Credential};

    /// Reads one request and answers its first line, its `Content-Range` and whether it carried a credential.
    async fn asked(stream: &mut TcpStream) -> (String, String, bool) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let length = header("content-length:").parse().unwrap_or(0);
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        let method = head.split(' ').next().unwrap().to_owned();
        (
            method,
            header("content-range:"),
            !header("authorization:").is_empty(),
        )
    }

    #[tokio::test]
    async fn a_session_goes_on_after_a_break() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        // No answer at all to the second piece; the session says that half of it came through.
        let answers = [
            Some((202, r#"{"nextExpectedRanges":["10-"]}"#)),
            None,
            Some((200, r#"{"nextExpectedRanges":["15-"]}"#)),
            Some((202, r#"{"nextExpectedRanges":["25-"]}"#)),
            Some((201, r#"{"id":"01BIG","name":"big.txt"}"#)),
        ];
        let server = tokio::spawn(async move {
            let mut seen = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                seen.push(asked(&mut stream).await);
                if let Some((status, body)) = answer {
                    let text = format!(
                        "HTTP/1.1 {status} OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(text.as_bytes()).await.unwrap();
                }
            }
            seen
        });
        let api = &super::super::super::INTEGRATION.providers[0].api;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let bases = Bases::new(api, Some(&base.parse().unwrap()), |_| None).unwrap();
        let credential = Credential::new(api.credential, &"REDACTED".into(), 1);
        let client = ProviderClient::new(http, api, bases, credential, None);
        let url = "https://graph.microsoft.com/upload/1";
        let file = pieces(&client, &Progress::default(), url, &[7; 28], 10).await;
        assert_eq!(file.unwrap().id, "01BIG");
        let seen = server.await.unwrap();
        let ranges: Vec<(&str, &str)> = seen
            .iter()
            .map(|(method, range, _)| (&**method, &**range))
            .collect();
        assert_eq!(
            ranges,
            [
                ("put", "bytes 0-9/28"),
                ("put", "bytes 10-19/28"),
                ("get", ""),
                ("put", "bytes 15-24/28"),
                ("put", "bytes 25-27/28"),
            ]
        );
        assert!(seen.iter().all(|(_, _, credential)| !credential));
    }

    #[test]
    fn sessions_say_where_to_go_on() {
        assert_eq!(
            next(br#"{"nextExpectedRanges":["3276800-"]}"#),
            Some(3_276_800)
        );
        assert_eq!(next(br#"{"nextExpectedRanges":["0-99","200-"]}"#), Some(0));
        assert_eq!(next(br#"{"nextExpectedRanges":[]}"#), None);
        assert_eq!(next(b""), None);
    }

    #[test]
    fn pieces_are_multiples_of_the_unit_and_small_enough() {
        assert_eq!(PIECE % UNIT, 0);
        const { assert!(PIECE < 60 * 1024 * 1024) };
        assert_eq!(percent(1, 3), 33);
        assert_eq!(percent(0, 0), 0);
    }
}
