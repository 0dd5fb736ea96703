//! The registered claims that are never redacted, and the rules on times.

use thiserror::Error;

use crate::cbor::{CborError, Key, NINT, Reader, SIMPLE, UINT};
use crate::diagnostic::as_float;

pub(crate) const ISS: u64 = 1;
pub(crate) const SUB: u64 = 2;
pub(crate) const AUD: u64 = 3;
pub(crate) const EXP: u64 = 4;
pub(crate) const NBF: u64 = 5;
pub(crate) const IAT: u64 = 6;
pub(crate) const CTI: u64 = 7;
pub(crate) const CNF: u64 = 8;
pub(crate) const CNONCE: u64 = 39;

/// Whether a top-level claim may never be redacted (the table of claim requirements of an SD-CWT).
pub(crate) fn never_redacted(key: &Key<'_>) -> bool {
    matches!(key, Key::Uint(ISS | AUD | EXP | NBF | IAT | CTI | CNF | CNONCE))
}

/// A rule on times that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The SD-CWT has expired.
    #[error("the SD-CWT has expired")]
    CredentialExpired,
    /// The SD-CWT is not yet valid.
    #[error("the SD-CWT is not yet valid")]
    CredentialNotYetValid,
    /// The SD-CWT was issued in the future.
    #[error("the SD-CWT was issued in the future")]
    CredentialFromFuture,
    /// `nbf` of the SD-CWT is after its `iat`.
    #[error("nbf of the SD-CWT is after its iat")]
    CredentialNbfAfterIat,
    /// `nbf` of the SD-CWT is not before its `exp`.
    #[error("nbf of the SD-CWT is not before its exp")]
    CredentialNbfNotBeforeExp,
    /// `iat` of the SD-CWT is not before its `exp`.
    #[error("iat of the SD-CWT is not before its exp")]
    CredentialIatNotBeforeExp,
    /// The key binding token has neither `iat` nor `cti`.
    #[error("the key binding token has neither iat nor cti")]
    BindingWithoutIatAndCti,
    /// The key binding token has `exp` or `nbf` but no `iat`.
    #[error("the key binding token has exp or nbf but no iat")]
    BindingTimesWithoutIat,
    /// The key binding token has expired.
    #[error("the key binding token has expired")]
    BindingExpired,
    /// The key binding token is not yet valid.
    #[error("the key binding token is not yet valid")]
    BindingNotYetValid,
    /// The key binding token was made in the future.
    #[error("the key binding token was made in the future")]
    BindingFromFuture,
    /// `nbf` of the key binding token is after its `iat`.
    #[error("nbf of the key binding token is after its iat")]
    BindingNbfAfterIat,
    /// `iat` of the key binding token is not before its `exp`.
    #[error("iat of the key binding token is not before its exp")]
    BindingIatNotBeforeExp,
    /// `exp` of the key binding token is after `exp` of the SD-CWT.
    #[error("the key binding token expires after the SD-CWT")]
    BindingExpAfterCredentialExp,
    /// `nbf` of the key binding token is before `nbf` of the SD-CWT.
    #[error("nbf of the key binding token is before nbf of the SD-CWT")]
    BindingNbfBeforeCredentialNbf,
    /// `iat` of the key binding token is before `iat` of the SD-CWT.
    #[error("iat of the key binding token is before iat of the SD-CWT")]
    BindingIatBeforeCredentialIat,
    /// `nbf` of the key binding token is not before `exp` of the SD-CWT.
    #[error("nbf of the key binding token is not before exp of the SD-CWT")]
    BindingNbfNotBeforeCredentialExp,
    /// `iat` of the key binding token is not before `exp` of the SD-CWT.
    #[error("iat of the key binding token is not before exp of the SD-CWT")]
    BindingIatNotBeforeCredentialExp,
    /// `iat` of the key binding token is before `nbf` of the SD-CWT.
    #[error("iat of the key binding token is before nbf of the SD-CWT")]
    BindingIatBeforeCredentialNbf,
}

/// Why a registered claim cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisteredClaimError {
    /// Malformed CBOR, or a claim that stands twice.
    #[error("malformed claims: {0}")]
    Cbor(#[from] CborError),
    /// A registered claim whose value is of another type than the registered one.
    #[error("claim {0} is of the wrong type")]
    Type(i64),
    /// A date that is NaN, infinite, or a floating-point number beyond 2^53.
    #[error("claim {0} is not a finite date")]
    Date(i64),
}

/// Microseconds since 1970, so that dates with a fraction can be compared with whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(i128);

impl Date {
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self(i128::from(seconds) * 1_000_000)
    }

    fn plus(self, seconds: u32) -> Self {
        Self(self.0 + i128::from(seconds) * 1_000_000)
    }

    fn read(reader: &mut Reader<'_>, claim: i64) -> Result<Self, RegisteredClaimError> {
        let head = reader.head()?;
        match (head.major, head.info) {
            (UINT, _) => Ok(Self(i128::from(head.arg) * 1_000_000)),
            (NINT, _) => Ok(Self((-1 - i128::from(head.arg)) * 1_000_000)),
            (SIMPLE, 25..=27) => {
                let seconds = as_float(head.info, head.arg);
                if seconds.abs() <= 9_007_199_254_740_992.0 {
                    Ok(Self((seconds * 1e6).floor() as i128))
                } else {
                    Err(RegisteredClaimError::Date(claim))
                }
            }
            _ => Err(RegisteredClaimError::Type(claim)),
        }
    }
}

/// The registered claims at the top of a claims map.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Registered<'a> {
    pub(crate) iss: Option<&'a str>,
    pub(crate) sub: Option<&'a str>,
    pub(crate) aud: Option<&'a str>,
    pub(crate) exp: Option<Date>,
    pub(crate) nbf: Option<Date>,
    pub(crate) iat: Option<Date>,
    pub(crate) cti: Option<&'a [u8]>,
    pub(crate) cnf: Option<&'a [u8]>,
    pub(crate) cnonce: Option<&'a [u8]>,
}

impl<'a> Registered<'a> {
    /// Reads the top level of a map and passes over all other claims, which are checked later.
    pub(crate) fn scan(map: &'a [u8]) -> Result<Self, RegisteredClaimError> {
        let mut reader = Reader::new(map);
        let mut found = Self::default();
        for _ in 0..reader.map()? {
            if reader.redacted_keys() {
                reader.skip()?;
                continue;
            }
            match reader.key()? {
                Key::Uint(ISS) => set(&mut found.iss, text(&mut reader, ISS))?,
                Key::Uint(SUB) => set(&mut found.sub, text(&mut reader, SUB))?,
                Key::Uint(AUD) => set(&mut found.aud, text(&mut reader, AUD))?,
                Key::Uint(EXP) => set(&mut found.exp, Date::read(&mut reader, EXP as i64))?,
                Key::Uint(NBF) => set(&mut found.nbf, Date::read(&mut reader, NBF as i64))?,
                Key::Uint(IAT) => set(&mut found.iat, Date::read(&mut reader, IAT as i64))?,
                Key::Uint(CTI) => set(&mut found.cti, bytes(&mut reader, CTI))?,
                Key::Uint(CNF) => set(&mut found.cnf, reader.skip().map_err(Into::into))?,
                Key::Uint(CNONCE) => set(&mut found.cnonce, bytes(&mut reader, CNONCE))?,
                _ => {
                    reader.skip()?;
                }
            }
        }
        reader.finish()?;
        Ok(found)
    }

    /// Adds what only the claims in the header say; that both say the same is checked where the maps are joined.
    pub(crate) fn or(self, header: Self) -> Self {
        Self {
            iss: self.iss.or(header.iss),
            sub: self.sub.or(header.sub),
            aud: self.aud.or(header.aud),
            exp: self.exp.or(header.exp),
            nbf: self.nbf.or(header.nbf),
            iat: self.iat.or(header.iat),
            cti: self.cti.or(header.cti),
            cnf: self.cnf,
            cnonce: self.cnonce.or(header.cnonce),
        }
    }

    /// The rules on the times of an SD-CWT alone (step 3 of the draft's validation).
    pub(crate) fn check_credential_order(&self) -> Result<(), TimeError> {
        ordered(self.nbf, self.iat, false, TimeError::CredentialNbfAfterIat)?;
        ordered(self.nbf, self.exp, true, TimeError::CredentialNbfNotBeforeExp)?;
        ordered(self.iat, self.exp, true, TimeError::CredentialIatNotBeforeExp)
    }

    /// Whether an SD-CWT is valid now, give or take the leeway in seconds.
    pub(crate) fn check_credential_now(&self, now: Date, leeway: u32) -> Result<(), TimeError> {
        use TimeError::{CredentialExpired, CredentialFromFuture, CredentialNotYetValid};
        self.check_now(now, leeway, [CredentialExpired, CredentialNotYetValid, CredentialFromFuture])
    }

    /// The rules on the times of a key binding token (step 6).
    pub(crate) fn check_binding(&self, credential: &Self, now: Date, leeway: u32) -> Result<(), TimeError> {
        use TimeError::*;
        if self.iat.is_none() && self.cti.is_none() {
            return Err(BindingWithoutIatAndCti);
        }
        if self.iat.is_none() && (self.exp.is_some() || self.nbf.is_some()) {
            return Err(BindingTimesWithoutIat);
        }
        ordered(self.nbf, self.iat, false, BindingNbfAfterIat)?;
        ordered(self.iat, self.exp, true, BindingIatNotBeforeExp)?;
        ordered(self.exp, credential.exp, false, BindingExpAfterCredentialExp)?;
        ordered(credential.nbf, self.nbf, false, BindingNbfBeforeCredentialNbf)?;
        ordered(credential.iat, self.iat, false, BindingIatBeforeCredentialIat)?;
        ordered(self.nbf, credential.exp, true, BindingNbfNotBeforeCredentialExp)?;
        ordered(self.iat, credential.exp, true, BindingIatNotBeforeCredentialExp)?;
        ordered(credential.nbf, self.iat, false, BindingIatBeforeCredentialNbf)?;
        self.check_now(now, leeway, [BindingExpired, BindingNotYetValid, BindingFromFuture])
    }

    fn check_now(&self, now: Date, leeway: u32, [expired, early, future]: [TimeError; 3]) -> Result<(), TimeError> {
        if self.exp.is_some_and(|exp| exp.plus(leeway) <= now) {
            return Err(expired);
        }
        if self.nbf.is_some_and(|nbf| nbf > now.plus(leeway)) {
            return Err(early);
        }
        if self.iat.is_some_and(|iat| iat > now.plus(leeway)) {
            return Err(future);
        }
        Ok(())
    }
}

/// Refuses when both exist and the first is after the second, or, if `strictly`, equal to it.
fn ordered(first: Option<Date>, second: Option<Date>, strictly: bool, error: TimeError) -> Result<(), TimeError> {
    match (first, second) {
        (Some(first), Some(second)) if first > second || strictly && first == second => Err(error),
        _ => Ok(()),
    }
}

fn set<T>(slot: &mut Option<T>, value: Result<T, RegisteredClaimError>) -> Result<(), RegisteredClaimError> {
    if slot.replace(value?).is_some() { Err(CborError::DuplicateKey.into()) } else { Ok(()) }
}

fn text<'a>(reader: &mut Reader<'a>, claim: u64) -> Result<&'a str, RegisteredClaimError> {
    reader.text().map_err(|error| wrong_type(error, claim))
}

fn bytes<'a>(reader: &mut Reader<'a>, claim: u64) -> Result<&'a [u8], RegisteredClaimError> {
    reader.bytes().map_err(|error| wrong_type(error, claim))
}

fn wrong_type(error: CborError, claim: u64) -> RegisteredClaimError {
    match error {
        CborError::WrongType => RegisteredClaimError::Type(claim as i64),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciborium::Value;

    fn scan(pairs: &[(i64, Value)]) -> Result<[Option<Date>; 3], RegisteredClaimError> {
        let map = Value::Map(pairs.iter().map(|(key, value)| (Value::from(*key), value.clone())).collect());
        let mut bytes = Vec::new();
        ciborium::into_writer(&map, &mut bytes).unwrap();
        Registered::scan(&bytes).map(|found| [found.exp, found.nbf, found.iat])
    }

    #[test]
    fn dates() {
        let date = |value| scan(&[(4, value)]).map(|found| found[0]);
        assert_eq!(date(Value::from(5)), Ok(Some(Date(5_000_000))));
        assert_eq!(date(Value::from(-5)), Ok(Some(Date(-5_000_000))));
        assert_eq!(date(Value::from(1.5)), Ok(Some(Date(1_500_000))));
        for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e16, -1e16] {
            assert_eq!(date(Value::from(float)), Err(RegisteredClaimError::Date(4)));
        }
        assert_eq!(date(Value::from("5")), Err(RegisteredClaimError::Type(4)));
        for (claim, value) in [
            (1, Value::from(1)),
            (2, Value::from(1)),
            (3, Value::Array(vec![])),
            (5, Value::Null),
            (6, Value::from("")),
            (7, Value::from("")),
            (39, Value::from("")),
        ] {
            assert_eq!(scan(&[(claim, value)]), Err(RegisteredClaimError::Type(claim)));
        }
        let twice = [(4, Value::from(5)), (4, Value::from(5))];
        assert_eq!(scan(&twice), Err(RegisteredClaimError::Cbor(CborError::DuplicateKey)));
    }

    fn times(exp: Option<i64>, nbf: Option<i64>, iat: Option<i64>) -> Registered<'static> {
        Registered {
            exp: exp.map(Date::from_seconds),
            nbf: nbf.map(Date::from_seconds),
            iat: iat.map(Date::from_seconds),
            ..Registered::default()
        }
    }

    #[test]
    fn every_rule_on_a_credential() {
        use TimeError::*;
        let order = |times: Registered<'_>| times.check_credential_order();
        assert_eq!(order(times(Some(10), Some(5), Some(5))), Ok(()));
        assert_eq!(order(times(None, Some(6), Some(5))), Err(CredentialNbfAfterIat));
        assert_eq!(order(times(Some(5), Some(5), None)), Err(CredentialNbfNotBeforeExp));
        assert_eq!(order(times(Some(5), None, Some(5))), Err(CredentialIatNotBeforeExp));
        let now = |times: Registered<'_>, now| times.check_credential_now(Date::from_seconds(now), 2);
        assert_eq!(now(times(Some(10), Some(5), Some(5)), 3), Ok(()));
        assert_eq!(now(times(Some(10), Some(5), Some(5)), 11), Ok(()));
        assert_eq!(now(times(Some(10), None, None), 12), Err(CredentialExpired));
        assert_eq!(now(times(None, Some(5), None), 2), Err(CredentialNotYetValid));
        assert_eq!(now(times(None, None, Some(5)), 2), Err(CredentialFromFuture));
    }

    #[test]
    fn every_rule_on_a_binding() {
        use TimeError::*;
        let credential = times(Some(20), Some(10), Some(12));
        let check = |exp, nbf, iat, now| times(exp, nbf, iat).check_binding(&credential, Date::from_seconds(now), 2);
        assert_eq!(check(Some(18), Some(12), Some(13), 14), Ok(()));
        assert_eq!(check(None, None, Some(12), 14), Ok(()));
        assert_eq!(check(None, None, None, 14), Err(BindingWithoutIatAndCti));
        assert_eq!(check(None, Some(14), Some(13), 14), Err(BindingNbfAfterIat));
        assert_eq!(check(Some(13), None, Some(13), 14), Err(BindingIatNotBeforeExp));
        assert_eq!(check(Some(21), None, Some(13), 14), Err(BindingExpAfterCredentialExp));
        assert_eq!(check(None, Some(9), Some(13), 14), Err(BindingNbfBeforeCredentialNbf));
        assert_eq!(check(None, None, Some(11), 14), Err(BindingIatBeforeCredentialIat));
        assert_eq!(check(None, Some(20), Some(20), 14), Err(BindingNbfNotBeforeCredentialExp));
        assert_eq!(check(None, None, Some(20), 14), Err(BindingIatNotBeforeCredentialExp));
        assert_eq!(check(Some(15), None, Some(13), 17), Err(BindingExpired));
        assert_eq!(check(None, Some(17), Some(17), 14), Err(BindingNotYetValid));
        assert_eq!(check(None, None, Some(17), 14), Err(BindingFromFuture));
        let with_cti = Registered { cti: Some(b"x"), ..times(Some(18), None, None) };
        assert_eq!(with_cti.check_binding(&credential, Date::from_seconds(14), 2), Err(BindingTimesWithoutIat));
        let no_iat = times(None, Some(10), None);
        let early = times(None, None, Some(9)).check_binding(&no_iat, Date::from_seconds(14), 2);
        assert_eq!(early, Err(BindingIatBeforeCredentialNbf));
    }
}
