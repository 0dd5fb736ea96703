use mimi_pseudonym::{DecodeError, Reader, UserUri, Wire, Writer};

use crate::{
    codec::{check_count, codes, wire_struct},
    mls::AppDataDictionary,
};

/// `SearchIdentifierType` (draft-ietf-mimi-protocol-06, section 5.8), with the name that some of them carry.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum SearchField {
    /// The whole handle, exactly.
    Handle,
    /// The nickname, or the handle's first part, exactly.
    Nick,
    /// The e-mail address, exactly.
    Email,
    /// The telephone number in international format, exactly.
    Phone,
    /// A part of any name, in any case.
    PartialName,
    /// A part of anything that may be searched.
    WholeProfile,
    /// The value of this OpenID Connect claim, exactly.
    OidcStdClaim(String),
    /// The value of this vCard property, exactly.
    VcardField(String),
}

impl Wire for SearchField {
    const MAX_LEN: usize = 1 << 12;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Ok(Self::Handle),
            2 => Ok(Self::Nick),
            3 => Ok(Self::Email),
            4 => Ok(Self::Phone),
            5 => Ok(Self::PartialName),
            6 => Ok(Self::WholeProfile),
            7 => Wire::read(reader).map(Self::OidcStdClaim),
            8 => Wire::read(reader).map(Self::VcardField),
            value => Err(DecodeError::Value { field: "searchType", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(match self {
            Self::Handle => 1,
            Self::Nick => 2,
            Self::Email => 3,
            Self::Phone => 4,
            Self::PartialName => 5,
            Self::WholeProfile => 6,
            Self::OidcStdClaim(_) => 7,
            Self::VcardField(_) => 8,
        });
        if let Self::OidcStdClaim(name) | Self::VcardField(name) = self {
            name.write(writer);
        }
    }
}

/// `QueryElement` (section 5.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryElement {
    /// What is compared.
    pub field: SearchField,
    /// What it is compared with.
    pub value: String,
}

wire_struct!(QueryElement, 1 << 14, { field, value });

/// `IdentifierRequest` (section 5.8): every element has to match.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdentifierRequest {
    /// The elements; 1 to 64.
    pub elements: Vec<QueryElement>,
    /// Extensions.
    pub extensions: AppDataDictionary,
}

wire_struct!(IdentifierRequest, 1 << 18, { elements: list, extensions }, |request| {
    check_count(&request.elements, 1..=64, "query_elements")
});

codes! {
    /// `IdentifierQueryCode` (section 5.8).
    pub enum IdentifierQueryCode: "responseCode" {
        /// At least one user matches.
        Success = 0,
        /// Nobody does.
        NotFound = 1,
        /// The query must match exactly one.
        Ambiguous = 2,
        /// The provider does not answer such queries.
        Forbidden = 3,
        /// A field cannot be asked for.
        UnsupportedField = 4,
    }
}

codes! {
    /// `FieldSource` (section 5.8): which registry a field's name is from.
    pub enum FieldSource: "fieldSource" {
        /// OpenID Connect standard claims.
        OidcStdClaim = 7,
        /// vCard properties.
        VcardField = 8,
    }
}

/// `ProfileField` (section 5.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileField {
    /// Which registry the name is from.
    pub source: FieldSource,
    /// The name.
    pub name: String,
    /// The value.
    pub value: Vec<u8>,
}

wire_struct!(ProfileField, 1 << 16, { source, name, value });

/// `UserProfile` (section 5.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserProfile {
    /// The user.
    pub stable_uri: UserUri,
    /// What the user shows.
    pub fields: Vec<ProfileField>,
}

wire_struct!(UserProfile, 1 << 18, { stable_uri, fields: list });

/// `IdentifierResponse` (section 5.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdentifierResponse {
    /// How the query went.
    pub code: IdentifierQueryCode,
    /// The users found.
    pub uris: Vec<UserUri>,
    /// Their profiles.
    pub profiles: Vec<UserProfile>,
    /// Extensions.
    pub extensions: AppDataDictionary,
}

wire_struct!(IdentifierResponse, 1 << 22, { code, uris: list, profiles: list, extensions });
