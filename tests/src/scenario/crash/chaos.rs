//! Kills providers and starts them again.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use mimi_pseudonym::{Entropy, SeededEntropy};
use tokio::{task::JoinHandle, time::sleep};

use crate::process::ProviderProcess;

/// Repeatable choices.
#[derive(Debug, Clone)]
pub struct Dice(SeededEntropy);

impl Dice {
    /// Dice that fall the same way for the same seed and use.
    pub fn new(seed: u64, what: [u8; 2]) -> Self {
        let mut octets = [0; 32];
        for (to, from) in octets.iter_mut().zip(seed.to_be_bytes().into_iter().chain(what)) {
            *to = from;
        }
        Self(SeededEntropy::new(octets))
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        let mut octets = [0; 8];
        self.0.fill(&mut octets);
        least + u64::from_be_bytes(octets) % (most - least + 1)
    }

    /// So many milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.between(least, most))
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.between(1, times) == 1
    }
}

/// How often it happened.
#[derive(Debug, Default)]
pub struct Counters {
    /// Processes killed.
    pub kills: AtomicU64,
    /// Of those, at once after an exchange was written down: its answer is on its way, or lost.
    pub after_exchange: AtomicU64,
    /// Processes started again.
    pub restarts: AtomicU64,
}

/// What goes on until it is ended.
#[derive(Debug)]
pub struct Chaos {
    stop: Arc<AtomicBool>,
    offset: Arc<AtomicI64>,
    counters: Arc<Counters>,
    task: JoinHandle<Result<Vec<ProviderProcess>>>,
}

/// When a process is killed.
enum Moment {
    Time(Duration),
    Exchanges(u64),
}

/// How long an exchange is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

impl Chaos {
    /// Begins to kill each process in turn, now and then all. `recordings` are the files in which they write exchanges.
    pub fn start(processes: Vec<ProviderProcess>, recordings: Vec<PathBuf>, dice: Dice) -> Self {
        let (stop, offset, counters) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default(), Arc::default());
        let run = Run {
            processes,
            recordings,
            dice,
            stop: Arc::clone(&stop),
            offset: Arc::clone(&offset),
            counters: Arc::clone(&counters),
        };
        Self { stop, offset, counters, task: tokio::spawn(run.run()) }
    }

    /// Processes are started with their clocks ahead by so many seconds from now on.
    pub fn move_clocks(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::SeqCst);
    }

    /// What has happened so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Whether it has ended by itself, which is an error that [`Chaos::end`] gives.
    pub fn has_failed(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it. All processes run then.
    ///
    /// # Errors
    /// If a process could not be killed or started.
    pub async fn end(self) -> Result<Vec<ProviderProcess>> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.context("the one who kills has died")?
    }
}

struct Run {
    processes: Vec<ProviderProcess>,
    recordings: Vec<PathBuf>,
    dice: Dice,
    stop: Arc<AtomicBool>,
    offset: Arc<AtomicI64>,
    counters: Arc<Counters>,
}

impl Run {
    async fn run(mut self) -> Result<Vec<ProviderProcess>> {
        let mut turn = 0;
        while !self.stop.load(Ordering::SeqCst) {
            turn = (turn + 1) % self.processes.len().max(1);
            let moment = match self.dice.one_in(3) {
                true => Moment::Time(self.dice.millis(5, 150)),
                false => Moment::Exchanges(self.dice.between(1, 3)),
            };
            let all = self.dice.one_in(5);
            match moment {
                Moment::Time(time) => sleep(time).await,
                Moment::Exchanges(count) => {
                    let recording = self.recordings.get(turn).context("a recording for each process")?.clone();
                    let seen = tokio::task::spawn_blocking(move || exchanges(&recording, count)).await??;
                    self.counters.after_exchange.fetch_add(u64::from(seen), Ordering::SeqCst);
                }
            }
            let mut killed = 0;
            for (at, process) in self.processes.iter_mut().enumerate() {
                if all || at == turn {
                    process.kill()?;
                    killed += 1;
                }
            }
            self.counters.kills.fetch_add(killed, Ordering::SeqCst);
            sleep(self.dice.millis(0, 60)).await;
            let offset = self.offset.load(Ordering::SeqCst);
            for (at, process) in self.processes.iter_mut().enumerate() {
                if all || at == turn {
                    process.restart(offset).await?;
                }
            }
            self.counters.restarts.fetch_add(killed, Ordering::SeqCst);
        }
        Ok(self.processes)
    }
}

/// Waits until so many more exchanges have been written down, but not for long. Returns whether they were.
fn exchanges(recording: &Path, count: u64) -> Result<bool> {
    let mut file = File::open(recording)?;
    file.seek(SeekFrom::End(0))?;
    let begun = Instant::now();
    let (mut seen, mut octets) = (0, Vec::new());
    while begun.elapsed() < PATIENCE {
        octets.clear();
        file.read_to_end(&mut octets)?;
        seen += octets.iter().filter(|octet| **octet == b'\n').count() as u64;
        if seen >= count {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn dice_fall_the_same_way_for_one_seed() {
        let throw = |seed| {
            let mut dice = Dice::new(seed, [1, 1]);
            (0..50).map(|_| dice.between(3, 9)).collect::<Vec<_>>()
        };
        assert_eq!(throw(1), throw(1));
        assert_ne!(throw(1), throw(2));
        assert!(throw(7).iter().all(|number| (3..=9).contains(number)));
    }

    #[test]
    fn exchanges_are_counted_from_now_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exchanges");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert!(!exchanges(&path, 1).unwrap(), "what was there before does not count");
        let writer = std::thread::spawn({
            let path = path.clone();
            move || {
                std::thread::sleep(Duration::from_millis(30));
                let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"three\nfour\n").unwrap();
            }
        });
        assert!(exchanges(&path, 2).unwrap());
        writer.join().unwrap();
    }
}
