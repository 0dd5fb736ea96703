use mimi_pseudonym::{DecodeError, Reader, RoomUri, Wire, Writer};

/// A description of a room in one language and format.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RichDescription {
    /// `media_type`; empty stands for `text/plain;charset=utf-8`.
    pub media_type: String,
    /// `language_tag`
    pub language: String,
    /// `description_content`
    pub content: Vec<u8>,
}

impl Wire for RichDescription {
    const MAX_LEN: usize = 1 << 16;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            media_type: text(reader, "media_type")?,
            language: text(reader, "language_tag")?,
            content: reader.vector()?.to_vec(),
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.media_type.write(writer);
        self.language.write(writer);
        writer.vector(&self.content);
    }
}

/// What people see of a room: `RoomMetaData` and `RoomMetaUpdate`, component 0x0023 (draft-ietf-mimi-protocol-06,
/// section 7.6). At most 65,536 octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomMetadata {
    /// `room_uri`: the room's own URI.
    pub room: RoomUri,
    /// `room_name`
    pub name: String,
    /// `room_descriptions`
    pub descriptions: Vec<RichDescription>,
    /// `room_avatar`: an https URI, or empty.
    pub avatar: String,
    /// `room_subject`
    pub subject: String,
    /// `room_mood`
    pub mood: String,
}

impl RoomMetadata {
    /// Metadata of a room with nothing said.
    pub fn new(room: RoomUri) -> Self {
        Self {
            room,
            name: String::new(),
            descriptions: Vec::new(),
            avatar: String::new(),
            subject: String::new(),
            mood: String::new(),
        }
    }
}

impl Wire for RoomMetadata {
    const MAX_LEN: usize = 1 << 16;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let metadata = Self {
            room: RoomUri::read(reader)?,
            name: text(reader, "room_name")?,
            descriptions: reader.list()?,
            avatar: text(reader, "room_avatar")?,
            subject: text(reader, "room_subject")?,
            mood: text(reader, "room_mood")?,
        };
        if !metadata.avatar.is_empty() && !metadata.avatar.starts_with("https://") {
            return Err(DecodeError::Rule { field: "room_avatar", rule: "not an https URI" });
        }
        Ok(metadata)
    }

    fn write(&self, writer: &mut Writer) {
        self.room.write(writer);
        self.name.write(writer);
        writer.list(&self.descriptions);
        self.avatar.write(writer);
        self.subject.write(writer);
        self.mood.write(writer);
    }
}

/// UTF-8 without nulls.
fn text(reader: &mut Reader<'_>, field: &'static str) -> Result<String, DecodeError> {
    let text = reader.text(field)?;
    if text.contains('\0') { Err(DecodeError::Rule { field, rule: "a null" }) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn room() -> RoomUri {
        "mimi://a.example/r/clubhouse".parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            texts: [String; 4],
            descriptions in prop::collection::vec((".{0,8}", "[a-z]{2}", any::<Vec<u8>>()), 0..3),
        ) {
            let [name, avatar, subject, mood] = texts.map(|text| text.replace('\0', ""));
            let metadata = RoomMetadata {
                room: room(),
                name,
                descriptions: descriptions
                    .into_iter()
                    .map(|(media_type, language, content)| {
                        RichDescription { media_type: media_type.replace('\0', ""), language, content }
                    })
                    .collect(),
                avatar: format!("https://a.example/{avatar}"),
                subject,
                mood,
            };
            prop_assert_eq!(RoomMetadata::decode(&metadata.encode()).unwrap(), metadata);
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = RoomMetadata::decode(&octets);
        }
    }

    #[test]
    fn nulls_and_other_schemes_are_refused() {
        let null = RoomMetadata { name: "a\0b".into(), ..RoomMetadata::new(room()) };
        assert_eq!(RoomMetadata::decode(&null.encode()), Err(DecodeError::Rule { field: "room_name", rule: "a null" }));
        let http = RoomMetadata { avatar: "http://a.example".into(), ..RoomMetadata::new(room()) };
        let error = DecodeError::Rule { field: "room_avatar", rule: "not an https URI" };
        assert_eq!(RoomMetadata::decode(&http.encode()), Err(error));
        assert_eq!(RoomMetadata::decode(&RoomMetadata::new(room()).encode()), Ok(RoomMetadata::new(room())));
    }
}
