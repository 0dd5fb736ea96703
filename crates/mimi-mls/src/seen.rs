//! The application messages this member has sealed or opened lately, to recognise them when they come again.

use std::collections::VecDeque;

use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};
use mimi_wire::MlsMessage;
use ring::digest::{SHA256, digest};

/// How many messages are remembered.
const LIMIT: usize = 128;

#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(VecDeque<[u8; 16]>);

impl Seen {
    pub(crate) fn contains(&self, message: &MlsMessage) -> bool {
        self.0.contains(&fingerprint(message))
    }

    pub(crate) fn insert(&mut self, message: &MlsMessage) {
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(fingerprint(message));
    }
}

fn fingerprint(message: &MlsMessage) -> [u8; 16] {
    let hash = digest(&SHA256, message.as_bytes());
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    short
}

impl Wire for Seen {
    const MAX_LEN: usize = 16 * LIMIT + 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut inner = Reader::new(reader.vector()?);
        let mut seen = VecDeque::new();
        while !inner.is_empty() {
            seen.push_back(inner.array()?);
        }
        Ok(Self(seen))
    }

    fn write(&self, writer: &mut Writer) {
        let (front, back) = self.0.as_slices();
        writer.vector(&[front, back].concat().concat());
    }
}
