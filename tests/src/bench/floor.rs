use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use mimi_mls::{Rehearsal, RehearsalError};
use mimi_pseudonym::count::Operation;
use ring::{
    agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};

use super::Ledger;

/// How long a round of one operation takes at least: shorter than what a system gives a process at a time.
const ROUND: Duration = Duration::from_millis(1);
const ROUNDS: usize = 100;

/// Seconds that one call of `operation` takes: those of the quickest of many short rounds, which nothing else disturbed.
///
/// # Errors
/// The operation's own.
pub fn seconds_per_operation(round: Duration, mut operation: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut quickest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (start, mut times) = (Instant::now(), 0_u32);
        while times == 0 || start.elapsed() < round {
            // The clock is asked rarely: some operations take hardly longer than that.
            for _ in 0..4 {
                operation()?;
            }
            times += 4;
        }
        quickest = quickest.min(start.elapsed().as_secs_f64() / f64::from(times));
    }
    Ok(quickest)
}

/// What one operation takes, in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(BTreeMap<Operation, f64>);

impl Prices {
    /// Times each operation of a ledger alone, over as many octets as it had on average.
    ///
    /// # Errors
    /// If an operation cannot be done alone.
    pub fn of(ledger: &Ledger) -> Result<Self> {
        let priced = ledger.operations().map(|(operation, count)| {
            let octets = usize::try_from(count.octets.checked_div(count.times).unwrap_or_default())?;
            let seconds = price(operation, octets).with_context(|| format!("{operation:?} over {octets} octets"))?;
            Ok((operation, seconds))
        });
        Ok(Self(priced.collect::<Result<_>>()?))
    }

    /// Prices that were found elsewhere.
    pub fn from_known(known: impl IntoIterator<Item = (Operation, f64)>) -> Self {
        Self(known.into_iter().collect())
    }

    /// Seconds of one operation; 0 if it has no price.
    pub fn seconds(&self, operation: Operation) -> f64 {
        self.0.get(&operation).copied().unwrap_or_default()
    }

    /// Seconds of everything in a ledger.
    pub fn sum(&self, ledger: &Ledger) -> f64 {
        let each = ledger.operations().map(|(operation, count)| self.seconds(operation) * count.times as f64);
        // The sum of nothing has a sign of its own.
        each.fold(0.0, |sum, seconds| sum + seconds)
    }
}

fn price(operation: Operation, octets: usize) -> Result<f64> {
    match Rehearsal::new(operation, octets) {
        Ok(mut rehearsal) => seconds_per_operation(ROUND, || Ok(rehearsal.perform()?)),
        Err(RehearsalError::Elsewhere) => elsewhere(operation, octets),
        Err(error) => Err(error.into()),
    }
}

/// What TLS and the issuers of certificates do.
fn elsewhere(operation: Operation, octets: usize) -> Result<f64> {
    let random = SystemRandom::new();
    let failed = |_| anyhow!("ring refuses");
    match operation {
        Operation::SignP256Ring => {
            let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
            let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(|_| anyhow!("no key"))?;
            let payload = vec![7; octets];
            seconds_per_operation(ROUND, || {
                black_box(key.sign(&random, black_box(&payload)).map_err(failed)?);
                Ok(())
            })
        }
        Operation::AgreeX25519 => {
            let theirs = EphemeralPrivateKey::generate(&X25519, &random).map_err(failed)?;
            let theirs = UnparsedPublicKey::new(&X25519, theirs.compute_public_key().map_err(failed)?);
            seconds_per_operation(ROUND, || {
                let own = EphemeralPrivateKey::generate(&X25519, &random).map_err(failed)?;
                black_box(own.compute_public_key().map_err(failed)?);
                agree_ephemeral(own, &theirs, |secret| black_box(secret.len())).map_err(failed)?;
                Ok(())
            })
        }
        _ => Err(anyhow!("nobody knows how to do it alone")),
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::count::Count;

    use super::*;

    #[test]
    fn an_operation_takes_time_and_its_error_is_passed_on() {
        assert!(seconds_per_operation(Duration::ZERO, || Ok(())).unwrap() >= 0.0);
        assert!(seconds_per_operation(Duration::ZERO, || Err(anyhow!("broken"))).is_err());
    }

    #[test]
    fn every_operation_has_a_price() {
        for operation in Operation::ALL {
            let octets = 64;
            let seconds = match Rehearsal::new(operation, octets) {
                Err(RehearsalError::Elsewhere) => elsewhere(operation, octets).unwrap(),
                ready => {
                    let mut rehearsal = ready.unwrap();
                    seconds_per_operation(Duration::ZERO, || Ok(rehearsal.perform()?)).unwrap()
                }
            };
            assert!(seconds > 0.0, "{operation:?}");
        }
        assert!(elsewhere(Operation::Hash, 1).is_err());
    }

    #[test]
    fn a_ledger_costs_the_sum_of_its_operations() {
        let mut ledger = Ledger::default();
        ledger.add(Operation::Hash, Count { times: 3, octets: 30 });
        ledger.add(Operation::Aead, Count { times: 2, octets: 20 });
        let prices = Prices::from_known([(Operation::Hash, 1.0), (Operation::Aead, 10.0)]);
        assert!((prices.sum(&ledger) - 23.0).abs() < 1e-9);
        assert_eq!(Prices::default().seconds(Operation::Hash), 0.0);
    }
}
