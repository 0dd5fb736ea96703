//! A ceremony among operators who are not at one place: what each of them keeps between one step and the next, and what it makes
//! of the letters of the others.

use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256 as Kem, single_shot_open, single_shot_seal_with_rng,
};
use mimi_pseudonym::{Entropy, Reader, SignatureScheme, Signer as _, SigningKey, Wire as _, Writer};
use zeroize::Zeroizing;

use super::{
    CeremonyError, Committing, Contribution, Done, Introduction, Operator, OperatorIndex, OperatorsKey, Purpose,
    Revealed, SecretForOther, Sharing, Threshold, Told,
    letters::{Letter, hash},
};
use crate::random::Random;

/// Why a ceremony does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartyError {
    /// A letter is not there.
    #[error("a letter of {0} is missing")]
    Missing(OperatorIndex),
    /// Two letters of one operator where there is one.
    #[error("two letters of {0}")]
    Twice(OperatorIndex),
    /// An operator makes a key for another purpose, or of another threshold, or there are not so many operators.
    #[error("{0} takes part in another ceremony")]
    Elsewhere(OperatorIndex),
    /// The signature under a letter is not its sender's.
    #[error("the signature of {0} does not hold")]
    Signature(OperatorIndex),
    /// A letter belongs to other introductions: somebody was introduced to the sender otherwise, or it is of another day.
    #[error("{0} was introduced to others")]
    Introduced(OperatorIndex),
    /// An operator was shown other contributions.
    #[error("{0} was shown other contributions")]
    Shown(OperatorIndex),
    /// A secret cannot be opened.
    #[error("the secret from {0} cannot be opened")]
    Sealed(OperatorIndex),
    /// The introductions are not those that the others have read out, or not those for which the contribution was revealed.
    #[error("these are not the introductions that the others have")]
    Session,
    /// An operator has come to another key.
    #[error("{0} has come to another key")]
    OtherKey(OperatorIndex),
    /// Somebody contributes what does not hold.
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    /// What was kept between two steps cannot be used.
    #[error("what was kept of the ceremony cannot be used")]
    State,
}

/// One operator's part in a ceremony, as it is kept between the steps. All of it is secret, and of no use when the ceremony is
/// over.
pub struct Party {
    threshold: Threshold,
    purpose: Purpose,
    index: OperatorIndex,
    signing: SigningKey,
    sealing: Zeroizing<[u8; 32]>,
    /// [`Committing`], as it is saved.
    committing: Zeroizing<Vec<u8>>,
    /// The introductions for which the contribution was revealed.
    session: Option<[u8; 32]>,
}

/// Exactly one letter of each operator, in their order.
fn one_of_each<T: Letter>(threshold: Threshold, letters: &[T]) -> Result<Vec<&T>, PartyError> {
    if let Some(stranger) = letters.iter().find(|letter| threshold.index(letter.sender().number()).is_none()) {
        return Err(PartyError::Elsewhere(stranger.sender()));
    }
    let of = |index: OperatorIndex| {
        let mut own = letters.iter().filter(|letter| letter.sender() == index);
        let first = own.next().ok_or(PartyError::Missing(index))?;
        if own.next().is_none() { Ok(first) } else { Err(PartyError::Twice(index)) }
    };
    threshold.indices().map(of).collect()
}

/// The introductions in their order, each of which says the same of the ceremony and is signed with its own key; and the hash over
/// all of them.
fn introduced(
    threshold: Threshold,
    purpose: Purpose,
    introductions: &[Introduction],
) -> Result<(Vec<&Introduction>, [u8; 32]), PartyError> {
    let strange = |one: &&Introduction| (one.threshold, one.purpose) != (threshold, purpose);
    if let Some(stranger) = introductions.iter().find(strange) {
        return Err(PartyError::Elsewhere(stranger.from));
    }
    let all = one_of_each(threshold, introductions)?;
    all.iter().try_for_each(|one| one.check(&one.signing))?;
    let octets: Vec<_> = all.iter().map(|one| one.encode()).collect();
    let session = hash(b"mimi-tie session 1", octets.iter().map(Vec::as_slice));
    Ok((all, session))
}

/// What binds a sealed secret to its ceremony and way.
fn information(told: &Told) -> Vec<u8> {
    let way = [told.from.number(), told.to.number()];
    [b"mimi-tie ceremony secret 1".as_slice(), &told.session, &told.contributions, &way].concat()
}

impl Party {
    /// Begins as one of the operators. The letter goes to all others.
    ///
    /// # Errors
    /// [`PartyError::Ceremony`] if there is no operator of this index.
    pub fn begin(
        threshold: Threshold,
        purpose: Purpose,
        index: OperatorIndex,
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Introduction), PartyError> {
        let committing = Committing::new(threshold, purpose, index, entropy)?;
        let commitment = committing.commitment();
        let signing = SigningKey::generate(SignatureScheme::Ed25519, entropy).map_err(|_| PartyError::State)?;
        let (sealing, public) = Kem::gen_keypair_with_rng(&mut Random(entropy));
        let introduction = Introduction {
            purpose,
            threshold,
            from: index,
            signing: signing.public_key().as_bytes().try_into().map_err(|_| PartyError::State)?,
            sealing: public.to_bytes().into(),
            commitment,
            signature: [0; 64],
        };
        let introduction = introduction.sign(&signing)?;
        let sealing = Zeroizing::new(sealing.to_bytes().into());
        let committing = committing.saved().ok_or(PartyError::State)?;
        Ok((Self { threshold, purpose, index, signing, sealing, committing, session: None }, introduction))
    }

    /// Which operator this is.
    pub fn index(&self) -> OperatorIndex {
        self.index
    }

    /// How many operators there are, and how many are needed.
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The hash over the introductions of all operators. They read it out to each other, over the telephone for example, where
    /// they know each other's voices: if it is the same for all, nobody is in the ceremony who does not belong there.
    ///
    /// # Errors
    /// [`PartyError::Missing`], [`PartyError::Twice`], [`PartyError::Elsewhere`], [`PartyError::Signature`];
    /// [`PartyError::Session`] if this operator's own introduction is another one.
    pub fn session(&self, introductions: &[Introduction]) -> Result<[u8; 32], PartyError> {
        self.introduced(introductions).map(|(_, session)| session)
    }

    fn introduced<'a>(
        &self,
        introductions: &'a [Introduction],
    ) -> Result<(Vec<&'a Introduction>, [u8; 32]), PartyError> {
        let (all, session) = introduced(self.threshold, self.purpose, introductions)?;
        let own = all.iter().find(|one| one.from == self.index).ok_or(PartyError::Missing(self.index))?;
        let is_own = own.signing.as_slice() == self.signing.public_key().as_bytes()
            && own.commitment == self.committing()?.commitment();
        let fixed = self.session.is_none_or(|fixed| fixed == session);
        if is_own && fixed { Ok((all, session)) } else { Err(PartyError::Session) }
    }

    fn committing(&self) -> Result<Committing, PartyError> {
        Committing::restored(self.threshold, self.purpose, self.index, &self.committing).ok_or(PartyError::State)
    }

    /// Reveals this operator's contribution to whom it was introduced, and from now on to nobody else: what is kept has to be
    /// saved before the letter goes to all others.
    ///
    /// # Errors
    /// As [`Self::session`].
    pub fn reveal(&mut self, introductions: &[Introduction]) -> Result<Revealed, PartyError> {
        let (all, session) = self.introduced(introductions)?;
        let revealing = self.committing()?.hear(&self.commitments(&all))?;
        let contribution = revealing.contribution()?.octets().to_vec();
        self.session = Some(session);
        Revealed { from: self.index, session, contribution, signature: [0; 64] }.sign(&self.signing)
    }

    fn commitments(&self, all: &[&Introduction]) -> Vec<(OperatorIndex, [u8; 32])> {
        all.iter().filter(|one| one.from != self.index).map(|one| (one.from, one.commitment)).collect()
    }

    /// The third step with all that is checked before it, and the hash over all contributions.
    fn sharing(
        &self,
        all: &[&Introduction],
        session: &[u8; 32],
        revealed: &[Revealed],
    ) -> Result<(Sharing, [u8; 32]), PartyError> {
        let revealing = self.committing()?.hear(&self.commitments(all))?;
        let letters = one_of_each(self.threshold, revealed)?;
        let mut heard = Vec::new();
        for (letter, introduction) in letters.iter().zip(all) {
            letter.check(&introduction.signing)?;
            if letter.session != *session {
                return Err(PartyError::Introduced(letter.from));
            }
            if letter.from != self.index {
                let unreadable = CeremonyError::Unreadable(letter.from);
                let contribution = Contribution::from_octets(&letter.contribution).ok_or(unreadable)?;
                heard.push((letter.from, contribution));
            }
        }
        let contributions =
            hash(b"mimi-tie contributions 1", letters.iter().map(|letter| letter.contribution.as_slice()));
        Ok((revealing.hear(&heard)?, contributions))
    }

    /// Tells each other operator its secret, if the contributions of all hold. `read_out` is what the others have read out of
    /// [`Self::session`].
    ///
    /// # Errors
    /// As [`Self::session`], which `read_out` must be; and [`PartyError::Introduced`], [`PartyError::Ceremony`], which name
    /// whose letter does not fit.
    pub fn tell(
        &self,
        introductions: &[Introduction],
        read_out: &[u8; 32],
        revealed: &[Revealed],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Told>, PartyError> {
        let (all, session) = self.introduced(introductions)?;
        if session != *read_out || self.session != Some(session) {
            return Err(PartyError::Session);
        }
        let (sharing, contributions) = self.sharing(&all, &session, revealed)?;
        let mut letters = Vec::new();
        for to in all.iter().filter(|one| one.from != self.index) {
            let secret = sharing.secret_for(to.from)?;
            letters.push(self.told(to, session, contributions, &secret, entropy)?);
        }
        Ok(letters)
    }

    fn told(
        &self,
        to: &Introduction,
        session: [u8; 32],
        contributions: [u8; 32],
        secret: &SecretForOther,
        entropy: &mut dyn Entropy,
    ) -> Result<Told, PartyError> {
        let wrong = PartyError::Sealed(to.from);
        let mut told = Told {
            from: self.index,
            to: to.from,
            session,
            contributions,
            encapsulated: [0; 32],
            sealed: [0; 48],
            signature: [0; 64],
        };
        let key = <Kem as hpke::Kem>::PublicKey::from_bytes(&to.sealing).map_err(|_| wrong)?;
        let (encapsulated, sealed) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeS::Base,
            &key,
            &information(&told),
            secret.octets(),
            &[],
            &mut Random(entropy),
        )
        .map_err(|_| wrong)?;
        told.encapsulated = encapsulated.to_bytes().into();
        told.sealed = sealed.try_into().map_err(|_| wrong)?;
        told.sign(&self.signing)
    }

    fn open(&self, told: &Told) -> Result<SecretForOther, PartyError> {
        let wrong = PartyError::Sealed(told.from);
        let key = <Kem as hpke::Kem>::PrivateKey::from_bytes(&*self.sealing).map_err(|_| PartyError::State)?;
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&told.encapsulated).map_err(|_| wrong)?;
        let secret = single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &key,
            &encapsulated,
            &information(told),
            &told.sealed,
            &[],
        );
        let secret = Zeroizing::new(secret.map_err(|_| wrong)?);
        Ok(SecretForOther::from_octets(secret.as_slice().try_into().map_err(|_| wrong)?))
    }

    /// Comes to the key, with the secrets that all others have told this operator. The letter goes to all others.
    ///
    /// # Errors
    /// As [`Self::tell`], and [`PartyError::Shown`], [`PartyError::Sealed`]; [`CeremonyError::Secret`] names who has told a wrong
    /// secret.
    pub fn finish(
        &self,
        introductions: &[Introduction],
        revealed: &[Revealed],
        told: &[Told],
    ) -> Result<(Operator, Done), PartyError> {
        let (all, session) = self.introduced(introductions)?;
        if self.session != Some(session) {
            return Err(PartyError::Session);
        }
        let (sharing, contributions) = self.sharing(&all, &session, revealed)?;
        let mut secrets = Vec::new();
        for from in all.iter().filter(|one| one.from != self.index) {
            let mut letters = told.iter().filter(|letter| letter.from == from.from && letter.to == self.index);
            let letter = letters.next().ok_or(PartyError::Missing(from.from))?;
            if letters.next().is_some() {
                return Err(PartyError::Twice(from.from));
            }
            letter.check(&from.signing)?;
            if letter.session != session {
                return Err(PartyError::Introduced(letter.from));
            }
            if letter.contributions != contributions {
                return Err(PartyError::Shown(letter.from));
            }
            secrets.push((from.from, self.open(letter)?));
        }
        let operator = sharing.hear(&secrets)?;
        let done = Done { from: self.index, session, key: *operator.key().id(), signature: [0; 64] };
        Ok((operator, done.sign(&self.signing)?))
    }

    /// What to keep between two steps, where nobody else can read it: `uint8 purpose; uint8 needed; uint8 operators; uint8 index;
    /// opaque signing[32]; opaque sealing[32]; optional<opaque session[32]>; opaque committing<V>`.
    pub fn saved(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::default();
        self.purpose.write(&mut writer);
        for number in [self.threshold.needed(), self.threshold.operators(), self.index.number()] {
            writer.u8(number);
        }
        writer.raw(self.signing.secret());
        writer.raw(&*self.sealing);
        writer.flag(self.session.is_some());
        writer.raw(self.session.as_ref().map_or(&[], <[u8; 32]>::as_slice));
        writer.vector(&self.committing);
        Zeroizing::new(writer.into_octets())
    }

    /// What was kept.
    ///
    /// # Errors
    /// [`PartyError::State`] if it is something else.
    pub fn restore(saved: &[u8]) -> Result<Self, PartyError> {
        let state = |_| PartyError::State;
        let mut reader = Reader::new(saved);
        let purpose = Purpose::read(&mut reader).map_err(state)?;
        let mut number = || reader.u8().map_err(state);
        let (needed, operators, index) = (number()?, number()?, number()?);
        let threshold = Threshold::new(needed, operators).map_err(|_| PartyError::State)?;
        let index = threshold.index(index).ok_or(PartyError::State)?;
        let mut key = || reader.array::<32>().map(Zeroizing::new).map_err(state);
        let (signing, sealing) = (key()?, key()?);
        let signing = SigningKey::from_secret(SignatureScheme::Ed25519, &signing).map_err(|_| PartyError::State)?;
        let session = match reader.flag("session").map_err(state)? {
            true => Some(reader.array().map_err(state)?),
            false => None,
        };
        let committing = Zeroizing::new(reader.vector().map_err(state)?.to_vec());
        let party = Self { threshold, purpose, index, signing, sealing, committing, session };
        party.committing()?;
        if reader.is_empty() { Ok(party) } else { Err(PartyError::State) }
    }
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Party({})", self.index)
    }
}

/// Checks that all operators have come to one key in one ceremony. A key of which they do not all say so is not used.
///
/// # Errors
/// [`PartyError`]; it names the operator whose letter does not fit.
pub fn agreed(key: &OperatorsKey, introductions: &[Introduction], done: &[Done]) -> Result<(), PartyError> {
    let (all, session) = introduced(key.threshold(), key.purpose(), introductions)?;
    for (letter, introduction) in one_of_each(key.threshold(), done)?.into_iter().zip(all) {
        letter.check(&introduction.signing)?;
        if letter.session != session {
            return Err(PartyError::Introduced(letter.from));
        }
        if letter.key != *key.id() {
            return Err(PartyError::OtherKey(letter.from));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;
    use mimi_pseudonym::SeededEntropy;

    #[test]
    fn who_signs_what_does_not_hold_is_named() {
        let threshold = Threshold::new(2, 2).unwrap();
        let begin = |index: u8| {
            let index = threshold.index(index).unwrap();
            Party::begin(threshold, Purpose::Scores, index, &mut SeededEntropy::new([index.number(); 32])).unwrap()
        };
        let ((mut alice, one), (mut bob, two)) = (begin(0), begin(1));
        let introductions = [one, two];
        let revealed = [alice.reveal(&introductions).unwrap(), bob.reveal(&introductions).unwrap()];
        let session = alice.session(&introductions).unwrap();
        let mut entropy = SeededEntropy::new([9; 32]);
        let good = bob.tell(&introductions, &session, &revealed, &mut entropy).unwrap().remove(0);
        assert!(alice.finish(&introductions, &revealed, std::slice::from_ref(&good)).is_ok());
        // Signed as it should be, and not what it has committed to.
        let contribution = revealed[0].contribution.clone();
        let other = Revealed { from: bob.index, session, contribution, signature: [0; 64] }.sign(&bob.signing).unwrap();
        let refused = alice.tell(&introductions, &session, &[revealed[0].clone(), other], &mut entropy).unwrap_err();
        assert_eq!(refused, PartyError::Ceremony(CeremonyError::Contribution(bob.index)));
        let junk = Revealed { from: bob.index, session, contribution: vec![0xff], signature: [0; 64] };
        let junk = junk.sign(&bob.signing).unwrap();
        let refused = alice.tell(&introductions, &session, &[revealed[0].clone(), junk], &mut entropy).unwrap_err();
        assert_eq!(refused, PartyError::Ceremony(CeremonyError::Unreadable(bob.index)));
        // Sealed to a key of bob's own, so that alice cannot open it.
        let secret = SecretForOther::from_octets([3; 32]);
        let mut unsealable = bob.told(&introductions[1], session, good.contributions, &secret, &mut entropy).unwrap();
        unsealable.to = alice.index;
        let unsealable = unsealable.sign(&bob.signing).unwrap();
        let refused = alice.finish(&introductions, &revealed, &[unsealable]).unwrap_err();
        assert_eq!(refused, PartyError::Sealed(bob.index));
        // Sealed and signed as it should be, and wrong.
        let wrong = SecretForOther::from_octets([3; 32]);
        let [first, _] = &introductions;
        let wrong = bob.told(first, session, good.contributions, &wrong, &mut entropy).unwrap();
        let refused = alice.finish(&introductions, &revealed, &[wrong]).unwrap_err();
        assert_eq!(refused, PartyError::Ceremony(CeremonyError::Secret(bob.index)));
        // Shown other contributions, and said so.
        let secret = bob.sharing(&introductions.each_ref(), &session, &revealed).unwrap().0.secret_for(alice.index);
        let shown = bob.told(first, session, [7; 32], &secret.unwrap(), &mut entropy).unwrap();
        let refused = alice.finish(&introductions, &revealed, &[shown]).unwrap_err();
        assert_eq!(refused, PartyError::Shown(bob.index));
    }
}
