//! Commands of the program, run in a folder of their own as they stand on the operator's page.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use super::free_address;

pub const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate.md");

/// The folder in which the page is followed, and the addresses instead of those on the page.
pub struct Walk {
    pub folder: PathBuf,
    pub addresses: [SocketAddr; 2],
    pub running: Vec<Child>,
}

impl Walk {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("mimi-provider-operate-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, addresses: [free_address(), free_address()], running: Vec::new() }
    }

    /// The lines of the page's blocks of commands.
    pub fn blocks(&self) -> Vec<Vec<String>> {
        let [a, b] = self.addresses.map(|address| address.port().to_string());
        let page = std::fs::read_to_string(PAGE).unwrap().replace("8443", &a).replace("9443", &b);
        let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        blocks.map(|block| block.lines().map(str::to_owned).collect()).collect()
    }

    pub fn command(&self, line: &str) -> Command {
        let mut words = line.trim_end_matches(" &").split_whitespace();
        assert_eq!(words.next(), Some("mimi-provider"), "{line}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mimi-provider"));
        command.args(words).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Writes more to the end of a file.
    pub fn append(&self, file: &str, more: &str) {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}\n{more}")).unwrap();
    }

    /// What a command prints on standard output, however it goes.
    pub fn said(&self, line: &str) -> String {
        String::from_utf8(self.run(line).stdout).unwrap()
    }

    /// What a command prints, which has to go well.
    pub fn printed(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn refused(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(!output.status.success(), "{line}");
        String::from_utf8(output.stderr).unwrap()
    }

    pub fn start(&mut self, line: &str, address: SocketAddr) {
        self.start_with(line, address, Stdio::null());
    }

    pub fn start_with(&mut self, line: &str, address: SocketAddr, log: impl Into<Stdio>) {
        let child = self.command(line).stderr(log).spawn().unwrap();
        self.running.push(child);
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "{line}: it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn is_private(path: &Path) -> bool {
    std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap()) & 0o077 == 0
}
