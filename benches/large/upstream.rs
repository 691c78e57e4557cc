//! Google with a large account: ten thousand threads, a report, a workbook and a sheet. Answers at once.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::files;

/// Threads in the mailbox.
pub(crate) const THREADS: usize = 10_000;
/// Pages of the report.
pub(crate) const PAGES: usize = 200;
/// Rows of the workbook and of the sheet, without the head.
pub(crate) const ROWS: u32 = 50_000;

type Asked = Query<HashMap<String, String>>;

/// Starts it; answers its address, and the sizes of the report and the workbook in bytes.
pub(crate) async fn start() -> (String, usize, usize) {
    let report = Bytes::from(files::pdf(PAGES));
    let workbook = Bytes::from(files::xlsx(ROWS));
    let sizes = (report.len(), workbook.len());
    let router = Router::new()
        .route("/oauth2/v2/userinfo", get(whose))
        .route("/gmail/gmail/v1/users/me/labels", get(labels))
        .route("/gmail/gmail/v1/users/me/threads", get(threads))
        .route("/gmail/gmail/v1/users/me/threads/{id}", get(thread))
        .route("/sheets/v4/spreadsheets/{id}", get(spreadsheet))
        .route("/sheets/v4/spreadsheets/{id}/values:batchGet", get(values))
        .route(
            "/drive/v3/files/{id}",
            get(async move |Path(id): Path<String>, asked: Asked| {
                let (bytes, media) = match id.as_str() {
                    "report" => (report, "application/pdf"),
                    "workbook" => (
                        workbook,
                        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                    ),
                    _ => return StatusCode::NOT_FOUND.into_response(),
                };
                if asked.get("alt").is_some_and(|alt| alt == "media") {
                    return ([("content-type", media)], bytes).into_response();
                }
                let size = bytes.len().to_string();
                Json(json!({ "id": id, "name": id, "mimeType": media, "size": size, "headRevisionId": "1" }))
                    .into_response()
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener =
        axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}"), sizes.0, sizes.1)
}

/// Whose token it is: each ends with the person's number.
async fn whose(headers: http::HeaderMap) -> Json<Value> {
    let token = headers["authorization"].to_str().unwrap();
    let number = token.rsplit('-').next().unwrap();
    Json(json!({ "id": number, "email": format!("p{number}@acme.example") }))
}

async fn labels() -> Json<Value> {
    Json(json!({ "labels": [{ "id": "INBOX", "name": "INBOX", "type": "system" }] }))
}

async fn threads(asked: Asked) -> Json<Value> {
    let number = |name: &str| asked.get(name).and_then(|text| text.parse::<usize>().ok());
    let from = number("pageToken").unwrap_or(0);
    let to = (from + number("maxResults").unwrap_or(100)).min(THREADS);
    let threads: Vec<Value> = (from..to)
        .map(|id| json!({ "id": format!("{id:016x}"), "snippet": "", "historyId": "1" }))
        .collect();
    let mut page = json!({ "threads": threads, "resultSizeEstimate": THREADS });
    if to < THREADS {
        page["nextPageToken"] = json!(to.to_string());
    }
    Json(page)
}

async fn thread(Path(id): Path<String>) -> Json<Value> {
    let messages = (0..8).map(|number| {
        json!({
            "id": format!("{id}{number}"), "threadId": id, "labelIds": ["INBOX"], "historyId": "1",
            "snippet": "Hello Alice, thank you. Could you confirm the delivery date? It's urgent.",
            "internalDate": "1794992400000", "sizeEstimate": 2_100,
            "payload": { "partId": "", "mimeType": "text/plain", "filename": "", "body": { "size": 0 }, "headers": [
                { "name": "From", "value": "Dana Whitfield <dana@northwind.example>" },
                { "name": "To", "value": "Alice Reyes <alice@acme.example>" },
                { "name": "Subject", "value": format!("Offer {id}") },
            ] },
        })
    });
    let messages: Vec<Value> = messages.collect();
    Json(json!({ "id": id, "historyId": "1", "messages": messages }))
}

async fn spreadsheet() -> Json<Value> {
    Json(json!({ "sheets": [{ "properties": {
        "sheetId": 0, "title": "Contracts", "sheetType": "GRID",
        "gridProperties": { "rowCount": ROWS + 1, "columnCount": files::HEAD.len(), "frozenRowCount": 1 },
    } }] }))
}

/// Every range that was asked for, such as `'Contracts'!A5:H7`.
async fn values(asked: Query<Vec<(String, String)>>) -> Response {
    let ranges = asked.iter().filter(|(name, _)| name == "ranges");
    let ranges: Vec<Value> = ranges
        .map(|(_, range)| {
            let rows = range.rsplit('!').next().unwrap().split(':');
            let mut rows = rows.map(|cell| {
                cell.trim_start_matches(char::is_alphabetic)
                    .parse::<u32>()
                    .unwrap()
            });
            let first = rows.next().unwrap();
            let last = rows.next().unwrap_or(first).min(ROWS + 1);
            let rows: Vec<Value> = (first..=last)
                .map(|number| match number {
                    1 => json!(files::HEAD),
                    number => json!(files::row(number - 1)),
                })
                .collect();
            json!({ "range": range, "majorDimension": "ROWS", "values": rows })
        })
        .collect();
    Json(json!({ "spreadsheetId": "sheet", "valueRanges": ranges })).into_response()
}
