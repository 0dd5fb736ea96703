use std::time::Duration;

use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use mimi_wire::Problem;

use crate::gate::{Gate, Held};

/// Checks that a body says it is of the media type that is wanted.
pub(super) fn check_media_type(headers: &HeaderMap, wanted: &str) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) { Ok(()) } else { Err(Problem::UnsupportedMediaType) }
}

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBody {
    /// It is too long, or takes too long.
    Refused(Problem),
    /// The other side broke off: nobody waits for an answer.
    BrokenOff,
}

/// Reads a body of at most `max` octets; a longer one is refused by its stated length, or as soon as it gets too long.
/// What has come counts for the memory that all bodies may have together, until what is given back besides is dropped.
pub(super) async fn read(gate: &Gate, body: Incoming, max: usize, limit: Duration) -> Result<(Bytes, Held), NoBody> {
    if body.size_hint().lower() > max as u64 {
        return Err(NoBody::Refused(Problem::TooLarge));
    }
    let mut held = Held::default();
    match tokio::time::timeout(limit, collect(gate, Limited::new(body, max), &mut held)).await {
        Ok(body) => Ok((body?, held)),
        Err(_) => Err(NoBody::Refused(Problem::Unavailable)),
    }
}

async fn collect(gate: &Gate, mut body: Limited<Incoming>, held: &mut Held) -> Result<Bytes, NoBody> {
    let mut parts: Vec<Bytes> = Vec::new();
    loop {
        let part = match body.frame().await {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) if error.is::<LengthLimitError>() => return Err(NoBody::Refused(Problem::TooLarge)),
            Some(Err(_)) => return Err(NoBody::BrokenOff),
        };
        gate.hold(held, part.len()).await.map_err(NoBody::Refused)?;
        parts.push(part);
    }
    Ok(match parts.as_slice() {
        [whole] => whole.clone(),
        parts => parts.concat().into(),
    })
}

#[cfg(test)]
mod tests {
    use mimi_wire::MEDIA_TYPE;

    use super::*;

    #[test]
    fn the_media_type_may_have_parameters_but_be_no_other() {
        let check = |value: &str| {
            check_media_type(&[(header::CONTENT_TYPE, value.parse().unwrap())].into_iter().collect(), MEDIA_TYPE)
        };
        assert_eq!(check("application/mimi-protocol"), Ok(()));
        assert_eq!(check("Application/MIMI-protocol; version=1"), Ok(()));
        assert_eq!(check("application/json"), Err(Problem::UnsupportedMediaType));
        assert_eq!(check_media_type(&HeaderMap::new(), MEDIA_TYPE), Err(Problem::UnsupportedMediaType));
    }
}
