//! `seeds FOLDER`: writes what each target begins with into a folder of its name, each in a file of its own. Fails if one
//! of them does not go all the way through its target.

// Built like the targets, it counts coverage too, and needs what counts it.
use libfuzzer_sys as _;
use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("usage: seeds FOLDER")?;
    let mut refused = Vec::new();
    for (name, run, seeds) in mimi_fuzz::TARGETS {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder)?;
        let seeds = seeds();
        for (at, seed) in seeds.iter().enumerate() {
            if !run(seed) {
                refused.push(format!("{name} {at}"));
            }
            fs::write(folder.join(format!("seed-{at:03}")), seed)?;
        }
        println!("{name}: {} seeds", seeds.len());
    }
    if refused.is_empty() { Ok(()) } else { Err(format!("refused: {}", refused.join(", ")).into()) }
}
