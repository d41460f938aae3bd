//! A snapshot as a plain SQLite file, rebuilt while it is sent: every chunk is checked before it goes, and memory holds a few.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Shared;
use super::place::Place;
use crate::pages::SnapshotPages;
use crate::query;
use crate::server::Server;
use crate::server::access::{Scope, Who};
use crate::server::answer::Failure;
use crate::server::input::{Asked, At};

/// Bytes that are rebuilt at once.
const PIECE: usize = 256 << 10;
/// Pieces that wait for a slow reader.
const AHEAD: usize = 4;

/// Which file.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// In a snapshot of a directory, the path of the database.
    file: Option<String>,
}

/// A snapshot as a plain SQLite file, byte for byte. Parts can be asked for with `Range`.
#[utoipa::path(get, path = "/api/v1/databases/{database}/snapshots/{snapshot}/download", tag = "snapshots", params(("database" = String, Path), ("snapshot" = String, Path), Wanted), responses((status = 200, body = Vec<u8>, content_type = "application/vnd.sqlite3")))]
pub(super) async fn download(
    State(server): Shared,
    who: Who,
    headers: HeaderMap,
    At((name, snapshot)): At<(String, String)>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Failure> {
    let shared = Arc::clone(&server);
    let opened = server.pool.run(move || {
        let place = shared.place(&who, Scope::Read, &name)?;
        open(&place, &snapshot, wanted.file.as_deref())
    });
    let (pages, file_name) = opened.await?;
    send(&server, &headers, pages, &file_name).await
}

/// Opens a snapshot's file; with the name that a download has.
pub(super) fn open(place: &Place, snapshot: &str, file: Option<&str>) -> Result<(Arc<SnapshotPages>, String), Failure> {
    let spec = place.spec(snapshot)?;
    let caller = &place.caller;
    let wanted = caller.database.as_deref();
    let (found, _) = query::Place::find(&caller.context, None, &spec, wanted, &caller.settings)?;
    let pages = query::open_snapshot(&found, &spec, file.map(std::path::Path::new))?;
    let mark: String = pages.name().rsplit('@').next().unwrap_or_default().into();
    Ok((pages, format!("{}-{mark}.sqlite", place.name.to_key())))
}

/// Sends a file, or the part of it that is asked for.
pub(super) async fn send(
    server: &Arc<Server>,
    headers: &HeaderMap,
    pages: Arc<SnapshotPages>,
    file_name: &str,
) -> Result<Response, Failure> {
    let size = pages.size();
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, start, end) = match asked.and_then(|text| part(text, size)) {
        Some((start, end)) if start < end => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(_) => {
            return Err(Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "usage", "the file is shorter than that"));
        }
        None => (StatusCode::OK, 0, size),
    };
    let turn = server.streams.turn().await?;
    let (give, take) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(AHEAD);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut at = start;
        while at < end {
            let mut piece = vec![0; PIECE.min((end - at) as usize)];
            let read = pages.read_at(&mut piece, at);
            let (piece, failed) = match read {
                Ok(len) if len == piece.len() => (Ok(Bytes::from(piece)), false),
                Ok(_) => (Err(io::ErrorKind::UnexpectedEof.into()), true),
                Err(error) => {
                    tracing::error!("a download of {} was cut off: {error}", pages.name());
                    (Err(io::Error::other(error)), true)
                }
            };
            at += PIECE as u64;
            // A reader who has gone wants no more.
            if give.blocking_send(piece).is_err() || failed {
                return;
            }
        }
    });
    let stream = futures::stream::unfold(take, |mut take| async move { take.recv().await.map(|piece| (piece, take)) });
    let mut response = (status, Body::from_stream(stream)).into_response();
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.sqlite3"));
    fields.insert(header::CONTENT_LENGTH, (end - start).into());
    fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let disposition = format!("attachment; filename=\"{file_name}\"");
    fields.extend(HeaderValue::from_str(&disposition).ok().map(|value| (header::CONTENT_DISPOSITION, value)));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {start}-{}/{size}", end - 1);
        fields.extend(HeaderValue::from_str(&range).ok().map(|value| (header::CONTENT_RANGE, value)));
    }
    Ok(response)
}

/// The part that `bytes=a-b`, `bytes=a-` or `bytes=-n` means; `None` for what is none of these, which counts as not said.
fn part(text: &str, size: u64) -> Option<(u64, u64)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    if from.is_empty() {
        let last: u64 = to.parse().ok()?;
        return Some((size.saturating_sub(last), if last == 0 { 0 } else { size }));
    }
    let from: u64 = from.parse().ok()?;
    let end = if to.is_empty() { size } else { to.parse::<u64>().ok()?.checked_add(1)?.min(size) };
    Some((from, end))
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_are_understood() {
        for (text, wanted) in [
            ("bytes=0-0", Some((0, 1))),
            ("bytes=5-", Some((5, 100))),
            ("bytes=-10", Some((90, 100))),
            ("bytes=-1000", Some((0, 100))),
            ("bytes=50-1000", Some((50, 100))),
            ("bytes=100-", Some((100, 100))),
            ("bytes=0-1,5-6", None),
            ("lines=1-2", None),
            ("bytes=a-b", None),
            ("bytes=0-18446744073709551615", None),
        ] {
            assert_eq!(part(text, 100), wanted, "{text}");
        }
    }
}
