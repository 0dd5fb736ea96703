use std::fmt;

use crate::{DecodeError, Reader, Wire, Writer};

/// What an application message carries, with its media type: `ApplicationFraming` of
/// draft-ietf-mls-extensions, section 6.2. `Debug` shows the type and the length, never the body.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// The media type, for example `application/mls-credential`.
    pub media_type: String,
    /// The body, in the format the media type names.
    pub body: Vec<u8>,
}

impl Wire for Content {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { media_type: reader.text("media_type")?.to_owned(), body: reader.vector()?.to_vec() })
    }

    fn write(&self, writer: &mut Writer) {
        writer.vector(self.media_type.as_bytes());
        writer.vector(&self.body);
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({}, {} octets)", self.media_type, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_body() {
        let content = Content { media_type: "text/plain".into(), body: b"secret".to_vec() };
        assert_eq!(format!("{content:?}"), "Content(text/plain, 6 octets)");
        assert_eq!(Content::decode(&content.encode()).unwrap(), content);
    }
}
