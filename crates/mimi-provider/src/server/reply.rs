use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Either;
use hyper::body::Bytes;
use mimi_wire::{MEDIA_TYPE, PROBLEM_MEDIA_TYPE, Wire, local::EVENTS_MEDIA_TYPE};

use super::unsent::{Waits, Whole};
use crate::{assets::Download, events::Events, fail::Fail, page::CONTENT_SECURITY_POLICY};

/// What is sent of an answer.
pub(super) type Body = Either<Whole, Streamed>;

/// What goes out as it comes.
type Streamed = Either<Box<Events>, Box<Download>>;

/// An answer, before it is HTTP.
pub(crate) enum Reply {
    /// 200 with a body.
    Body(Vec<u8>),
    /// 200 with JSON.
    Json(String),
    /// 200 with a page to look at.
    Page(String),
    /// 200 with a body that has no end.
    Events(Box<Events>),
    /// 200 with a file that is passed on as it comes.
    File(Box<Download>),
    /// 201.
    Created,
    /// 204.
    Nothing,
}

impl Reply {
    /// 200 with a message as its body.
    pub(crate) fn message(message: &impl Wire) -> Self {
        Self::Body(message.encode())
    }

    fn parts(self) -> (u16, Option<&'static str>, Either<Bytes, Streamed>) {
        let (status, media_type, octets) = match self {
            Self::Events(events) => return (200, Some(EVENTS_MEDIA_TYPE), Either::Right(Either::Left(events))),
            Self::File(file) => return (200, Some(FILE), Either::Right(Either::Right(file))),
            Self::Body(octets) => (200, Some(MEDIA_TYPE), octets.into()),
            Self::Json(text) => (200, Some("application/json"), text.into()),
            Self::Page(html) => (200, Some(HTML), html.into()),
            Self::Created => (201, None, Bytes::new()),
            Self::Nothing => (204, None, Bytes::new()),
        };
        (status, media_type, Either::Left(octets))
    }
}

/// Media type of a file: what it is, only members of the room know.
const FILE: &str = "application/octet-stream";
/// Media type of a page.
const HTML: &str = "text/html; charset=utf-8";

/// What a browser is told about a page besides.
const PAGE_HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// A reply or a problem as HTTP, and its body once more for the record.
pub(super) fn response(reply: Result<Reply, Fail>) -> (Response<Body>, Bytes) {
    let (status, media_type, body, wait) = match reply {
        Ok(reply) => {
            let (status, media_type, body) = reply.parts();
            (status, media_type, body, None)
        }
        Err(fail) => {
            let problem = fail.problem();
            (problem.status(), Some(PROBLEM_MEDIA_TYPE), Either::Left(problem.document().to_json().into()), fail.wait())
        }
    };
    let (sent, body) = match body {
        Either::Left(octets) => (Either::Left(Whole::new(octets.clone())), octets),
        Either::Right(streamed) => (Either::Right(streamed), Bytes::new()),
    };
    let mut response = Response::new(sent);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(media_type) = media_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    }
    if let Some(wait) = wait {
        // Whole seconds, and not too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if media_type == Some(HTML) {
        for (name, value) in PAGE_HEADERS {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    (response, body)
}

/// Octets of an answer that may have to wait to be taken. What has no end counts by itself.
pub(super) fn waiting(response: &Response<Body>) -> usize {
    if let Either::Left(whole) = response.body() { whole.len() } else { 0 }
}

/// Counts an answer until it was taken.
pub(super) fn count(response: &mut Response<Body>, waits: Waits) {
    if let Either::Left(whole) = response.body_mut() {
        whole.counts(waits);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mimi_wire::{Problem, ProblemDocument};

    use super::*;

    #[test]
    fn every_problem_goes_out_as_its_document() {
        for problem in Problem::ALL {
            let (response, body) = response(Err(problem.into()));
            assert_eq!(response.status().as_u16(), problem.status());
            assert_eq!(response.headers().get(header::CONTENT_TYPE).unwrap(), PROBLEM_MEDIA_TYPE);
            assert_eq!(ProblemDocument::from_json(&body).unwrap(), problem.document());
        }
    }

    #[test]
    fn whoever_may_ask_again_is_told_when() {
        let wait = |fail: Fail| {
            let (response, _) = response(Err(fail));
            response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(wait(Fail::TooMany(Duration::from_millis(1_001))).as_deref(), Some("2"));
        assert_eq!(wait(Fail::TooMany(Duration::ZERO)).as_deref(), Some("1"));
        assert_eq!(wait(Problem::RateLimited.into()).as_deref(), Some("60"));
        assert_eq!(wait(Problem::Unavailable.into()).as_deref(), Some("5"));
        assert_eq!(wait(Problem::Forbidden.into()), None);
    }

    #[test]
    fn replies_have_their_status() {
        let status = |reply| response(Ok(reply)).0.status().as_u16();
        assert_eq!(status(Reply::Body(vec![1])), 200);
        assert_eq!(status(Reply::Created), 201);
        assert_eq!(status(Reply::Nothing), 204);
    }
}
