use std::collections::BTreeMap;

use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

/// `AppDataDictionary` (draft-ietf-mls-extensions, section 4.6): data of components, in order of their ids, one entry
/// each; at most 1 MiB.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AppDataDictionary(BTreeMap<u16, Vec<u8>>);

impl AppDataDictionary {
    /// The data of a component.
    pub fn component(&self, id: u16) -> Option<&[u8]> {
        self.0.get(&id).map(Vec::as_slice)
    }

    /// Sets a component's data, and returns what it replaces.
    pub fn insert(&mut self, id: u16, data: Vec<u8>) -> Option<Vec<u8>> {
        self.0.insert(id, data)
    }

    /// Takes a component out.
    pub fn remove(&mut self, id: u16) -> Option<Vec<u8>> {
        self.0.remove(&id)
    }

    /// The components in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.0.iter().map(|(id, data)| (*id, data.as_slice()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(u16, Vec<u8>)> for AppDataDictionary {
    fn from_iter<I: IntoIterator<Item = (u16, Vec<u8>)>>(components: I) -> Self {
        Self(components.into_iter().collect())
    }
}

impl Wire for AppDataDictionary {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut inner = Reader::new(reader.vector()?);
        let mut components = BTreeMap::new();
        let mut last = None;
        while !inner.is_empty() {
            let (id, data) = (inner.u16()?, inner.vector()?.to_vec());
            if last.is_some_and(|last| last >= id) {
                return Err(DecodeError::Rule {
                    field: "component_data",
                    rule: "ids out of order, or one stands twice",
                });
            }
            last = Some(id);
            components.insert(id, data);
        }
        Ok(Self(components))
    }

    fn write(&self, writer: &mut Writer) {
        let mut inner = Writer::default();
        for (id, data) in &self.0 {
            inner.u16(*id);
            inner.vector(data);
        }
        writer.vector(&inner.into_octets());
    }
}
