//! The JWS JSON Serialization (RFC 9901, section 8; RFC 7515, section 7.2).

use super::{
    error::{JsonError, ParseError},
    json::{Names, Scanner},
    token::{Limits, UnverifiedSdJwt},
};

/// One signature with its headers.
#[derive(Default)]
struct Signature {
    protected: Option<String>,
    signature: Option<String>,
    header: Option<Unprotected>,
}

/// An unprotected header.
#[derive(Default)]
struct Unprotected {
    names: Vec<String>,
    disclosures: Option<Vec<String>>,
    key_binding: Option<String>,
}

impl UnverifiedSdJwt<'static> {
    /// Reads the JWS JSON Serialization, flattened or general. Members that are not known are passed over.
    ///
    /// # Errors
    /// [`ParseError`] if it is larger than `limits`, no strict JSON, or lacks a member.
    pub fn parse_json(token: &[u8], limits: &Limits) -> Result<Self, ParseError> {
        if token.len() > limits.length {
            return Err(ParseError::TooLong);
        }
        let text = str::from_utf8(token).map_err(|_| JsonError::NotUtf8)?;
        let (mut payload, mut flattened, mut general) = (None, Signature::default(), None);
        let mut scan = Scanner::new(text);
        scan.members(&mut Names::default(), limits.max_depth(), |name, scan, names, depth| {
            match name {
                "payload" => payload = Some(scan.string()?.value.into_owned()),
                "signatures" => general = Some(signatures(scan, names, depth, limits)?),
                _ => flattened.member(name, scan, names, depth, limits)?,
            }
            Ok::<_, ParseError>(())
        })?;
        scan.end()?;
        let signatures = match general {
            None => vec![flattened],
            Some(general) if flattened.is_empty() => general,
            Some(_) => return Err(ParseError::Members),
        };
        assemble(&payload.ok_or(ParseError::Members)?, signatures, limits)
    }
}

/// Writes the compact serialization with the first signature, and keeps the other ones beside it.
fn assemble(
    payload: &str,
    signatures: Vec<Signature>,
    limits: &Limits,
) -> Result<UnverifiedSdJwt<'static>, ParseError> {
    let mut compact = String::new();
    let (mut more, mut unprotected) = (Vec::new(), Vec::new());
    for (index, signature) in signatures.into_iter().enumerate() {
        let protected = signature.protected.ok_or(ParseError::Members)?;
        let value = signature.signature.ok_or(ParseError::Members)?;
        let header = signature.header.unwrap_or_default();
        unprotected.push(header.names);
        if index == 0 {
            let disclosures = header.disclosures.unwrap_or_default();
            let parts = [&protected, &value].into_iter().chain(&disclosures).map(String::as_str).chain([payload]);
            if parts.chain(header.key_binding.as_deref()).any(|part| part.is_empty() || part.contains('~')) {
                return Err(ParseError::Parts);
            }
            compact = format!("{protected}.{payload}.{value}~");
            for disclosure in &disclosures {
                compact.push_str(disclosure);
                compact.push('~');
            }
            compact.push_str(&header.key_binding.unwrap_or_default());
        } else if header.disclosures.is_some() || header.key_binding.is_some() {
            // Both belong to the first unprotected header (RFC 9901, section 8.3).
            return Err(ParseError::Members);
        } else {
            more.push((protected, value));
        }
    }
    if compact.is_empty() {
        return Err(ParseError::Members);
    }
    let mut token = UnverifiedSdJwt::from_text(compact.into(), limits)?;
    token.more_signatures = more;
    token.unprotected = unprotected;
    Ok(token)
}

fn signatures<'a>(
    scan: &mut Scanner<'a>,
    names: &mut Names<'a>,
    depth: usize,
    limits: &Limits,
) -> Result<Vec<Signature>, ParseError> {
    let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
    let mut found = Vec::new();
    scan.expect(b'[')?;
    if scan.take(b']') {
        return Ok(found);
    }
    loop {
        if found.len() >= limits.signatures {
            return Err(ParseError::TooManySignatures);
        }
        let mut signature = Signature::default();
        scan.members(names, depth, |name, scan, names, depth| signature.member(name, scan, names, depth, limits))?;
        found.push(signature);
        if scan.take(b']') {
            return Ok(found);
        }
        scan.expect(b',')?;
    }
}

impl Signature {
    fn is_empty(&self) -> bool {
        self.protected.is_none() && self.signature.is_none() && self.header.is_none()
    }

    fn member<'a>(
        &mut self,
        name: &str,
        scan: &mut Scanner<'a>,
        names: &mut Names<'a>,
        depth: usize,
        limits: &Limits,
    ) -> Result<(), ParseError> {
        match name {
            "protected" => self.protected = Some(scan.string()?.value.into_owned()),
            "signature" => self.signature = Some(scan.string()?.value.into_owned()),
            "header" => {
                let mut header = Unprotected::default();
                scan.members(names, depth, |name, scan, names, depth| header.member(name, scan, names, depth, limits))?;
                self.header = Some(header);
            }
            _ => scan.skip(names, depth)?,
        }
        Ok(())
    }
}

impl Unprotected {
    fn member<'a>(
        &mut self,
        name: &str,
        scan: &mut Scanner<'a>,
        names: &mut Names<'a>,
        depth: usize,
        limits: &Limits,
    ) -> Result<(), ParseError> {
        match name {
            "disclosures" => self.disclosures = Some(strings(scan, limits)?),
            "kb_jwt" => self.key_binding = Some(scan.string()?.value.into_owned()),
            _ => {
                self.names.push(name.to_owned());
                scan.skip(names, depth)?;
            }
        }
        Ok(())
    }
}

fn strings(scan: &mut Scanner<'_>, limits: &Limits) -> Result<Vec<String>, ParseError> {
    let mut found = Vec::new();
    scan.expect(b'[')?;
    if scan.take(b']') {
        return Ok(found);
    }
    loop {
        if found.len() >= limits.disclosures {
            return Err(ParseError::TooManyDisclosures);
        }
        found.push(scan.string()?.value.into_owned());
        if scan.take(b']') {
            return Ok(found);
        }
        scan.expect(b',')?;
    }
}
