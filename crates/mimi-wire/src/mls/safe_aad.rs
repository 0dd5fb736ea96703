use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

use super::AppDataDictionary;
use crate::franking::{FRANK_AAD_COMPONENT, FrankAad};

/// Component id of `safe_aad` (draft-ietf-mls-extensions, section 4.9). In a group whose context has it, the authenticated
/// data of every message begins with a [`SafeAad`].
pub const SAFE_AAD_COMPONENT: u16 = 0x0002;

/// `SafeAAD` (draft-ietf-mls-extensions, section 4.9): what components put into a message's authenticated data, in order of
/// their ids, one item each. Everybody on the way can read it; only the group's members know that it was not changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SafeAad(AppDataDictionary);

impl SafeAad {
    /// Reads the items at the front of a message's authenticated data. What stands behind them is the application's.
    ///
    /// # Errors
    /// [`DecodeError`]: in a group that has the component, every member refuses such a message.
    pub fn at_front_of(authenticated_data: &[u8]) -> Result<Self, DecodeError> {
        AppDataDictionary::read(&mut Reader::new(authenticated_data)).map(Self)
    }

    /// The item of a component.
    pub fn item(&self, component: u16) -> Option<&[u8]> {
        self.0.component(component)
    }

    /// The sender's commitment to the content, if there is one (draft-ietf-mimi-protocol-06, section 5.4.1).
    ///
    /// # Errors
    /// [`DecodeError`] if the item is none.
    pub fn frank_aad(&self) -> Result<Option<FrankAad>, DecodeError> {
        self.item(FRANK_AAD_COMPONENT).map(FrankAad::decode).transpose()
    }

    /// The data of the `safe_aad` component in a group whose messages may be franked: the list of components that have
    /// items.
    pub fn components_for_franking() -> Vec<u8> {
        let mut writer = Writer::default();
        writer.list(&[FRANK_AAD_COMPONENT]);
        writer.into_octets()
    }
}

impl From<FrankAad> for SafeAad {
    fn from(frank_aad: FrankAad) -> Self {
        Self([(FRANK_AAD_COMPONENT, frank_aad.encode())].into_iter().collect())
    }
}

impl Wire for SafeAad {
    const MAX_LEN: usize = AppDataDictionary::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        AppDataDictionary::read(reader).map(Self)
    }

    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_read_from_the_front() {
        let aad = FrankAad { franking_tag: [7; 32] };
        let octets = [&SafeAad::from(aad).encode()[..], b"of the application"].concat();
        assert_eq!(octets.get(..4), Some([35, 0, 0x20, 32].as_slice()));
        assert_eq!(SafeAad::at_front_of(&octets).unwrap().frank_aad(), Ok(Some(aad)));
        assert_eq!(SafeAad::at_front_of(&[0]).unwrap().frank_aad(), Ok(None));
        assert_eq!(SafeAad::at_front_of(&[]), Err(DecodeError::Truncated));
        let short = SafeAad::at_front_of(&[4, 0, 0x20, 1, 7]).unwrap();
        assert_eq!(short.frank_aad(), Err(DecodeError::Truncated));
        let twice = [8, 0, 0x20, 1, 7, 0, 0x20, 1, 7];
        assert!(matches!(SafeAad::at_front_of(&twice), Err(DecodeError::Rule { .. })));
        assert_eq!(SafeAad::components_for_franking(), [2, 0, 0x20]);
    }
}
