//! Puts the disclosures into the issuer's payload (RFC 9901, section 7.1, steps 3 to 5), in one pass that reads the
//! payload and each disclosure once and writes the processed payload as text.

use std::borrow::Cow;

use super::{
    base64url,
    digests::Digests,
    error::{DisclosureError, JsonError},
    hash::HashAlgorithm,
    json::{Names, Repeated, Scanner},
    payload::ProcessedPayload,
    places::{Place, Places},
    token::{Limits, UnverifiedSdJwt},
};

/// The payload after processing.
pub(super) struct Processed {
    pub(super) payload: ProcessedPayload,
    /// The hash algorithm that the issuer chose.
    pub(super) hash: HashAlgorithm,
    /// Where each disclosure was put, if that was asked for.
    pub(super) places: Vec<Place>,
}

/// All disclosures, decoded.
struct Decoded {
    text: String,
    ends: Vec<usize>,
}

impl Processed {
    /// Processes a payload. Where the disclosures are put is only kept if `places`.
    pub(super) fn new(payload: &str, token: &UnverifiedSdJwt<'_>, places: bool) -> Result<Self, DisclosureError> {
        let decoded = Decoded::new(token)?;
        // Nearly all tokens use SHA-256. One that does not says so in its payload, and is then begun again.
        let first = HashAlgorithm::default();
        match Processor::run(payload, token, &decoded, first, places)? {
            Outcome::Done(processed) => Ok(processed),
            Outcome::OtherHash(hash) => match Processor::run(payload, token, &decoded, hash, places)? {
                Outcome::Done(processed) => Ok(processed),
                Outcome::OtherHash(_) => Err(DisclosureError::HashAlgorithm),
            },
        }
    }
}

impl Decoded {
    fn new(token: &UnverifiedSdJwt<'_>) -> Result<Self, DisclosureError> {
        let mut octets = Vec::with_capacity(token.compact().len() / 4 * 3);
        let mut ends = Vec::with_capacity(token.disclosure_count());
        for disclosure in token.disclosures() {
            base64url::decode_into(disclosure.as_bytes(), &mut octets).map_err(|_| DisclosureError::Base64)?;
            ends.push(octets.len());
        }
        let text = String::from_utf8(octets).map_err(|_| JsonError::NotUtf8)?;
        Ok(Self { text, ends })
    }

    fn get(&self, index: usize) -> Result<&str, DisclosureError> {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let end = self.ends.get(index).copied().unwrap_or_default();
        // A letter that is half in one disclosure and half in the next is none.
        Ok(self.text.get(start..end).ok_or(JsonError::NotUtf8)?)
    }
}

enum Outcome {
    Done(Processed),
    OtherHash(HashAlgorithm),
}

/// Why processing stops.
enum Stop {
    Fault(DisclosureError),
    OtherHash(HashAlgorithm),
}

struct Processor<'a> {
    decoded: &'a Decoded,
    digests: Digests<'a>,
    hash: HashAlgorithm,
    limits: Limits,
    out: ProcessedPayload,
    names: Names<'a>,
    places: Places,
}

impl<'a> Processor<'a> {
    fn run(
        payload: &'a str,
        token: &UnverifiedSdJwt<'_>,
        decoded: &'a Decoded,
        hash: HashAlgorithm,
        places: bool,
    ) -> Result<Outcome, DisclosureError> {
        let letters = Digests::letters(token, hash);
        let mut processor = Processor {
            decoded,
            digests: Digests::new(&letters, hash)?,
            hash,
            limits: token.limits,
            out: ProcessedPayload::with_capacity(payload.len() / 4 + decoded.text.len(), token.disclosure_count() + 8),
            names: Names::default(),
            places: Places::new(places),
        };
        let mut scan = Scanner::new(payload);
        match processor.object(&mut scan, 0).and_then(|()| Ok(scan.end()?)) {
            Ok(()) => {}
            Err(Stop::OtherHash(hash)) => return Ok(Outcome::OtherHash(hash)),
            Err(Stop::Fault(fault)) => return Err(fault),
        }
        let Processor { digests, out, places, .. } = processor;
        digests.finish()?;
        Ok(Outcome::Done(Processed { payload: out, hash, places: places.into_found() }))
    }

    fn value(&mut self, scan: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        match scan.peek() {
            Some(b'{') => return self.object(scan, depth),
            Some(b'[') => return self.array(scan, depth),
            Some(b'"') => self.out.json.push_str(scan.string()?.raw),
            _ => self.out.json.push_str(scan.scalar()?),
        }
        Ok(())
    }

    /// An object. `depth` is how many objects and arrays are around it.
    fn object(&mut self, scan: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        let depth = self.deeper(depth)?;
        scan.expect(b'{')?;
        self.out.json.push('{');
        let (body, mark) = (self.out.json.len(), self.names.mark());
        if !scan.take(b'}') {
            loop {
                let name = scan.string()?;
                scan.expect(b':')?;
                match &*name.value {
                    "_sd" => self.claims(scan, depth, body)?,
                    "_sd_alg" => self.hash_algorithm(scan, depth)?,
                    "..." => return Err(DisclosureError::ReservedName.into()),
                    value => {
                        let outer = self.places.member(value);
                        self.member(name.raw, value, scan, depth, body)?;
                        self.places.back(outer);
                    }
                }
                self.names.push(name.value, false);
                if scan.take(b'}') {
                    break;
                }
                scan.expect(b',')?;
            }
        }
        self.out.json.push('}');
        self.names.finish(mark).map_err(|repeated| match repeated {
            Repeated::Member => JsonError::DuplicateMember.into(),
            Repeated::Disclosed => DisclosureError::ClaimCollision.into(),
        })
    }

    /// A member of an object that begins at `body` of what has been written.
    fn member(
        &mut self,
        raw: &'a str,
        name: &str,
        scan: &mut Scanner<'a>,
        depth: usize,
        body: usize,
    ) -> Result<(), Stop> {
        if self.out.json.len() > body {
            self.out.json.push(',');
        }
        let start = self.out.json.len();
        self.out.json.push_str(raw);
        let end = self.out.json.len();
        self.out.json.push(':');
        self.value(scan, depth)?;
        if depth == 1 {
            self.out.add(name, start..end);
        }
        Ok(())
    }

    /// `_sd`: an array of digests, of which those that have a disclosure become members.
    fn claims(&mut self, scan: &mut Scanner<'a>, depth: usize, body: usize) -> Result<(), Stop> {
        if !scan.take(b'[') {
            return Err(DisclosureError::DigestList.into());
        }
        if scan.take(b']') {
            return Ok(());
        }
        loop {
            if scan.peek() != Some(b'"') {
                return Err(DisclosureError::DigestList.into());
            }
            if let Some(index) = self.digests.refer(scan.string()?.value)? {
                self.claim(index, depth, body)?;
            }
            if scan.take(b']') {
                return Ok(());
            }
            scan.expect(b',')?;
        }
    }

    /// The disclosure of a claim: `[salt, name, value]`.
    fn claim(&mut self, index: usize, depth: usize, body: usize) -> Result<(), Stop> {
        let mut scan = self.open(index)?;
        let name = match scan.peek() {
            Some(b'"') => scan.string()?,
            _ => {
                // Of two elements, it is one for an array; otherwise its claim name is no string.
                scan.skip(&mut self.names, self.limits.max_depth())?;
                let element = scan.take(b']');
                return Err(if element { DisclosureError::ElementAsClaim } else { DisclosureError::Shape }.into());
            }
        };
        if scan.take(b']') {
            return Err(DisclosureError::ElementAsClaim.into());
        }
        scan.expect(b',')?;
        if matches!(&*name.value, "_sd" | "_sd_alg" | "...") {
            return Err(DisclosureError::ReservedName.into());
        }
        let outer = self.places.member(&name.value);
        self.places.disclosed(index);
        self.member(name.raw, &name.value, &mut scan, depth, body)?;
        self.places.back(outer);
        self.names.push(name.value, true);
        close(&mut scan, DisclosureError::Shape)
    }

    fn array(&mut self, scan: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        let depth = self.deeper(depth)?;
        scan.expect(b'[')?;
        self.out.json.push('[');
        if scan.take(b']') {
            self.out.json.push(']');
            return Ok(());
        }
        let mut count = 0;
        loop {
            let element = match placeholder(scan)? {
                None => Some(None),
                Some(digest) => self.digests.refer(digest)?.map(Some),
            };
            if let Some(disclosure) = element {
                if count > 0 {
                    self.out.json.push(',');
                }
                let outer = self.places.element(count);
                match disclosure {
                    None => self.value(scan, depth)?,
                    Some(index) => self.element(index, depth)?,
                }
                self.places.back(outer);
                count += 1;
            }
            if scan.take(b']') {
                break;
            }
            scan.expect(b',')?;
        }
        self.out.json.push(']');
        Ok(())
    }

    /// The disclosure of an array element: `[salt, value]`.
    fn element(&mut self, index: usize, depth: usize) -> Result<(), Stop> {
        let mut scan = self.open(index)?;
        self.places.disclosed(index);
        self.value(&mut scan, depth)?;
        close(&mut scan, DisclosureError::ClaimAsElement)
    }

    /// A disclosure, up to what follows its salt.
    fn open(&self, index: usize) -> Result<Scanner<'a>, Stop> {
        let mut scan = Scanner::new(self.decoded.get(index)?);
        if !scan.take(b'[') || scan.peek() != Some(b'"') {
            return Err(DisclosureError::Shape.into());
        }
        scan.string()?;
        if !scan.take(b',') {
            return Err(DisclosureError::Shape.into());
        }
        Ok(scan)
    }

    fn hash_algorithm(&mut self, scan: &mut Scanner<'a>, depth: usize) -> Result<(), Stop> {
        if depth != 1 {
            return Err(DisclosureError::NestedHashAlgorithm.into());
        }
        if scan.peek() != Some(b'"') {
            return Err(DisclosureError::HashAlgorithm.into());
        }
        match HashAlgorithm::from_name(&scan.string()?.value) {
            Some(hash) if hash == self.hash => Ok(()),
            Some(hash) => Err(Stop::OtherHash(hash)),
            None => Err(DisclosureError::HashAlgorithm.into()),
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonError> {
        if depth < self.limits.max_depth() { Ok(depth + 1) } else { Err(JsonError::TooDeep) }
    }
}

/// `{"...": "<digest>"}`, if that is the next element of an array.
fn placeholder<'a>(scan: &mut Scanner<'a>) -> Result<Option<Cow<'a, str>>, Stop> {
    if scan.peek() != Some(b'{') {
        return Ok(None);
    }
    let mut inside = *scan;
    inside.expect(b'{')?;
    if inside.peek() != Some(b'"') || inside.string()?.value != "..." {
        return Ok(None);
    }
    inside.expect(b':')?;
    if inside.peek() != Some(b'"') {
        return Err(DisclosureError::Placeholder.into());
    }
    let digest = inside.string()?.value;
    if !inside.take(b'}') {
        return Err(DisclosureError::Placeholder.into());
    }
    *scan = inside;
    Ok(Some(digest))
}

/// The end of a disclosure; a further element is `fault`.
fn close(scan: &mut Scanner<'_>, fault: DisclosureError) -> Result<(), Stop> {
    if scan.take(b',') {
        return Err(fault.into());
    }
    scan.expect(b']')?;
    Ok(scan.end()?)
}

impl From<DisclosureError> for Stop {
    fn from(fault: DisclosureError) -> Self {
        Self::Fault(fault)
    }
}

impl From<JsonError> for Stop {
    fn from(fault: JsonError) -> Self {
        Self::Fault(fault.into())
    }
}
