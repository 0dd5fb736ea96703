use thiserror::Error;

/// Why a text is not the strict JSON that is wanted here (RFC 8259, and no member twice in an object).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The text is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The text does not follow the grammar, or is not of the type that is wanted there.
    #[error("the text is not the JSON that is wanted")]
    Syntax,
    /// Objects and arrays are nested deeper than [`Limits`](super::Limits) allow.
    #[error("objects and arrays are nested too deeply")]
    TooDeep,
    /// An object names a member twice, also when one of them is written with escapes.
    #[error("an object names a member twice")]
    DuplicateMember,
}

/// Why octets are no SD-JWT in form. Nothing has been verified then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// There are more octets than [`Limits::length`](super::Limits::length).
    #[error("the token is too long")]
    TooLong,
    /// There are more disclosures than [`Limits::disclosures`](super::Limits::disclosures).
    #[error("the token has too many disclosures")]
    TooManyDisclosures,
    /// There are more signatures than [`Limits::signatures`](super::Limits::signatures).
    #[error("the token has too many signatures")]
    TooManySignatures,
    /// The parts that `~` and `.` separate are not those of an SD-JWT (RFC 9901, section 4).
    #[error("the token does not have the parts of an SD-JWT")]
    Parts,
    /// The JWS JSON Serialization is no strict JSON.
    #[error("the JSON serialization is malformed: {0}")]
    Json(#[from] JsonError),
    /// The JWS JSON Serialization lacks a member, has one at the wrong place, or mixes its two forms (RFC 7515,
    /// section 7.2, and RFC 9901, section 8).
    #[error("the JSON serialization has not the members that it should have")]
    Members,
}

/// Why a signed JWT, the issuer's or the key binding, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JwtError {
    /// A part is not canonical base64url.
    #[error("a part of the JWT is not canonical base64url")]
    Base64,
    /// Header or payload are no strict JSON object.
    #[error("header or payload of the JWT are malformed: {0}")]
    Json(#[from] JsonError),
    /// The header names an algorithm that none of the trusted keys is for: `none`, one with a shared secret, or
    /// that of another kind of key.
    #[error("the algorithm in the header is not that of the key")]
    Algorithm,
    /// The header's `typ` is not the expected one.
    #[error("the type in the header is not the expected one")]
    Type,
    /// The header names critical parameters, and none is understood here (RFC 7515, section 4.1.11).
    #[error("the header has critical parameters")]
    Critical,
    /// A header parameter stands in the protected and in the unprotected header (RFC 7515, section 7.2.1).
    #[error("a header parameter is both protected and unprotected")]
    HeaderConflict,
    /// No trusted key verifies the signature.
    #[error("the signature does not verify")]
    Signature,
}

/// Why the disclosures and the digests do not fit together (RFC 9901, section 7.1, steps 3 to 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DisclosureError {
    /// A disclosure is not canonical base64url.
    #[error("a disclosure is not canonical base64url")]
    Base64,
    /// The payload or a disclosure is no strict JSON.
    #[error("the payload or a disclosure is malformed: {0}")]
    Json(#[from] JsonError),
    /// `_sd_alg` is none of `sha-256`, `sha-384`, `sha-512`.
    #[error("the hash algorithm is not supported")]
    HashAlgorithm,
    /// `_sd_alg` stands elsewhere than at the top of the payload.
    #[error("the hash algorithm is named inside a nested object")]
    NestedHashAlgorithm,
    /// `_sd` is no array of strings.
    #[error("_sd is no array of strings")]
    DigestList,
    /// An array element with `...` has other members too, or its value is no string.
    #[error("an element that stands for a disclosure is malformed")]
    Placeholder,
    /// `...` stands where no digest of an array element can stand, or a disclosure is for a claim named `_sd`,
    /// `_sd_alg` or `...`.
    #[error("a reserved name is used as a claim name")]
    ReservedName,
    /// A disclosure is no array of a string, perhaps a claim name, and a value.
    #[error("a disclosure has not the elements that it should have")]
    Shape,
    /// A disclosure without claim name is referenced from `_sd`.
    #[error("the disclosure of an array element stands for a claim")]
    ElementAsClaim,
    /// A disclosure with claim name is referenced from an array.
    #[error("the disclosure of a claim stands for an array element")]
    ClaimAsElement,
    /// A disclosed claim has the name of another claim of the same object.
    #[error("a disclosed claim has the name of another one")]
    ClaimCollision,
    /// A digest occurs twice, in the payload or in disclosures.
    #[error("a digest occurs twice")]
    DuplicateDigest,
    /// A disclosure was sent twice.
    #[error("a disclosure was sent twice")]
    DuplicateDisclosure,
    /// No digest refers to a disclosure.
    #[error("a disclosure is not referenced")]
    Unreferenced,
}

/// Why the processed claims are not accepted (RFC 9901, section 7.1, step 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// A required claim is missing, or was not disclosed.
    #[error("a required claim is missing")]
    Missing,
    /// `iss`, `aud`, `exp`, `nbf` or `iat` is not of its type.
    #[error("a registered claim is not of its type")]
    Malformed,
    /// `iss` is not the issuer whose key verified the signature.
    #[error("the issuer is another one than that of the key")]
    Issuer,
    /// `aud` does not contain the expected audience.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has come.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("the token was issued in the future")]
    IssuedInFuture,
}

/// Why the key binding is not accepted (RFC 9901, section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyBindingError {
    /// There is no Key Binding JWT.
    #[error("there is no key binding")]
    Missing,
    /// There is a Key Binding JWT where none is expected.
    #[error("there is a key binding where none is expected")]
    Unexpected,
    /// There is no `cnf` claim with a `jwk`.
    #[error("the token names no key of a holder")]
    NoConfirmationKey,
    /// The `jwk` in `cnf` is malformed, weak, private, or of a kind that is not supported.
    #[error("the holder's key is not usable")]
    ConfirmationKey,
    /// The `jwk` in `cnf` is another key than the expected one.
    #[error("the token is bound to another key")]
    OtherHolder,
    /// The Key Binding JWT is malformed, or its signature does not verify with the holder's key.
    #[error("the key binding is refused: {0}")]
    Jwt(#[from] JwtError),
    /// `iat`, `aud`, `nonce` or `sd_hash` is missing or not of its type; `aud` is one string, never an array.
    #[error("a claim of the key binding is missing or not of its type")]
    Claims,
    /// `aud` is another audience.
    #[error("the key binding is for another audience")]
    Audience,
    /// `nonce` is another one.
    #[error("the key binding has another nonce")]
    Nonce,
    /// `iat` is too long ago, or an `exp` has come.
    #[error("the key binding is too old")]
    TooOld,
    /// `iat` or an `nbf` is in the future.
    #[error("the key binding was made in the future")]
    InFuture,
    /// `sd_hash` is not the digest of what was presented.
    #[error("the key binding is for another presentation")]
    SdHash,
}

/// Why an SD-JWT is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SdJwtError {
    /// The issuer-signed JWT is refused.
    #[error("the issuer's JWT is refused: {0}")]
    Jwt(#[from] JwtError),
    /// Disclosures and digests do not fit together.
    #[error("the disclosures are refused: {0}")]
    Disclosure(#[from] DisclosureError),
    /// The claims are not accepted.
    #[error("the claims are not accepted: {0}")]
    Claim(#[from] ClaimError),
    /// The key binding is not accepted.
    #[error("the key binding is not accepted: {0}")]
    KeyBinding(#[from] KeyBindingError),
}
