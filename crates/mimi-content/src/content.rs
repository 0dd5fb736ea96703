use std::fmt;

use ciborium::Value;
use mimi_pseudonym::{Content, DecodeError, Entropy, Reader, RoomUri, Timestamp, UserUri, Wire, Writer};

use crate::{
    MEDIA_TYPE,
    cbor::{array, bytes, end, fixed, next, nullable, parse, rule, uint, write},
    extension::Extensions,
    id::MessageId,
    part::{Part, PartError},
};

/// 128 random bits that each message has of its own. Who learns it can test guesses at the content against the message's
/// identifier and its franking tag, so `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// A fresh salt.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self(entropy.bits128())
    }

    /// The octets as they are.
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// When a message is to be forgotten: a wish, which no receiver can be held to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiration {
    /// So many seconds after it was read.
    AfterReading(u32),
    /// At this time, in seconds since the epoch.
    At(u32),
}

/// A message in MIMI's content format (draft-ietf-mimi-content, section 4). It has one encoding only, so that what was
/// signed, hashed or committed to is had again by writing what was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MimiContent {
    salt: Salt,
    replaces: Option<MessageId>,
    topic: Vec<u8>,
    expires: Option<Expiration>,
    in_reply_to: Option<MessageId>,
    extensions: Extensions,
    body: Part,
}

impl MimiContent {
    /// A message that a sender commits to having sent in a room (draft-ietf-mimi-protocol-06, section 5.4.1.1).
    ///
    /// # Errors
    /// [`PartError`] if the body breaks a rule.
    pub fn new(salt: Salt, sender: UserUri, room: RoomUri, body: Part) -> Result<Self, PartError> {
        let extensions = Extensions { sender: Some(sender), room: Some(room), ..Extensions::default() };
        Self::with_extensions(salt, extensions, body)
    }

    /// A message with these extensions. Without sender and room among them it cannot be franked.
    ///
    /// # Errors
    /// [`PartError`] if the body breaks a rule.
    pub fn with_extensions(salt: Salt, extensions: Extensions, body: Part) -> Result<Self, PartError> {
        body.check()?;
        Ok(Self { salt, replaces: None, topic: Vec::new(), expires: None, in_reply_to: None, extensions, body })
    }

    /// The same in the place of an earlier message: an edit, or with an empty body a deletion.
    #[must_use]
    pub fn replacing(self, message: MessageId) -> Self {
        Self { replaces: Some(message), ..self }
    }

    /// The same as a reply, or as a reaction.
    #[must_use]
    pub fn in_reply_to(self, message: MessageId) -> Self {
        Self { in_reply_to: Some(message), ..self }
    }

    /// The same under a topic; an empty one is none.
    #[must_use]
    pub fn under_topic(self, topic: Vec<u8>) -> Self {
        Self { topic, ..self }
    }

    /// The same with a wish that it be forgotten.
    #[must_use]
    pub fn expiring(self, expiration: Expiration) -> Self {
        Self { expires: Some(expiration), ..self }
    }

    /// The salt.
    pub fn salt(&self) -> &Salt {
        &self.salt
    }

    /// The message in whose place this one stands: always the first version.
    pub fn replaces(&self) -> Option<&MessageId> {
        self.replaces.as_ref()
    }

    /// The message this one replies or reacts to.
    pub fn replied_to(&self) -> Option<&MessageId> {
        self.in_reply_to.as_ref()
    }

    /// The topic; empty for none.
    pub fn topic(&self) -> &[u8] {
        &self.topic
    }

    /// When it wishes to be forgotten.
    pub fn expires(&self) -> Option<Expiration> {
        self.expires
    }

    /// Whether it wishes to have been forgotten by now, if it was read at that time.
    pub fn has_expired(&self, read: Timestamp, now: Timestamp) -> bool {
        match self.expires {
            None => false,
            Some(Expiration::At(secs)) => now.as_secs() >= secs.into(),
            Some(Expiration::AfterReading(secs)) => now.since(read).as_secs() >= secs.into(),
        }
    }

    /// The extensions.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The body.
    pub fn body(&self) -> &Part {
        &self.body
    }

    /// The message's identifier, for a sender and a room that are known from elsewhere (section 3.3).
    pub fn message_id(&self, sender: &UserUri, room: &RoomUri) -> MessageId {
        MessageId::of(&self.encode(), &self.salt, sender, room)
    }

    /// The message as application data, with its media type.
    pub fn to_content(&self) -> Content {
        Content { media_type: MEDIA_TYPE.to_owned(), body: self.encode() }
    }

    /// Reads application data.
    ///
    /// # Errors
    /// [`DecodeError::Rule`] if it has another media type; else as [`Wire::decode`].
    pub fn from_content(content: &Content) -> Result<Self, DecodeError> {
        if content.media_type != MEDIA_TYPE {
            return Err(rule("media_type", "not application/mimi-content"));
        }
        Self::decode(&content.body)
    }

    fn to_value(&self) -> Value {
        let id = |id: &Option<MessageId>| id.as_ref().map_or(Value::Null, |id| id.as_bytes().as_slice().into());
        let expires = self.expires.map_or(Value::Null, |expires| {
            let (relative, time) = match expires {
                Expiration::AfterReading(secs) => (true, secs),
                Expiration::At(secs) => (false, secs),
            };
            Value::Array(vec![relative.into(), time.into()])
        });
        Value::Array(vec![
            self.salt.0.as_slice().into(),
            id(&self.replaces),
            self.topic.as_slice().into(),
            expires,
            id(&self.in_reply_to),
            self.extensions.to_value(),
            self.body.to_value(),
        ])
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = array(value, "mimiContent")?;
        let mut field = |name| next(&mut fields, name);
        let content = Self {
            salt: Salt(fixed(field("salt")?, "salt")?),
            replaces: nullable(field("replaces")?, |value| fixed(value, "replaces").map(MessageId::from_bytes))?,
            topic: bytes(field("topicId")?, "topicId")?,
            expires: nullable(field("expires")?, expiration)?,
            in_reply_to: nullable(field("inReplyTo")?, |value| fixed(value, "inReplyTo").map(MessageId::from_bytes))?,
            extensions: Extensions::from_value(field("mimiExtensions")?)?,
            body: Part::from_value(field("nestedPart")?)?,
        };
        end(fields, "mimiContent")?;
        content.body.check()?;
        Ok(content)
    }
}

fn expiration(value: Value) -> Result<Expiration, DecodeError> {
    let mut fields = array(value, "expires")?;
    let relative = next(&mut fields, "relative")?.as_bool().ok_or(rule("relative", "neither true nor false"))?;
    let time = uint(next(&mut fields, "time")?, "time")?;
    end(fields, "expires")?;
    Ok(if relative { Expiration::AfterReading(time) } else { Expiration::At(time) })
}

/// CBOR in its deterministic form, to the end of the octets. Every other form is an error.
impl Wire for MimiContent {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let octets = reader.take(reader.rest().len())?;
        Self::from_value(parse(octets)?)
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&write(&self.to_value()));
    }
}
