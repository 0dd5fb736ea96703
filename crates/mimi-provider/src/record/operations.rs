use std::{
    fs::File,
    io::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use mimi_pseudonym::count::{Operation, count, totals};
use serde_json::{Map, Value, json};

/// Octets that TLS 1.3 signs in CertificateVerify with SHA-256, and of a short certificate.
const CERTIFICATE_VERIFY: usize = 130;
const CERTIFICATE: usize = 400;

/// Appends what was counted since the process began, a line each time.
pub(super) struct Operations {
    process: String,
    /// Handshakes with clients: full, and resumed.
    clients: [AtomicU64; 2],
    file: Mutex<(Value, File)>,
}

impl Operations {
    pub(super) fn new(file: File) -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let process = format!("{}-{}", std::process::id(), at.as_nanos());
        Self { process, clients: Default::default(), file: Mutex::new((Value::Null, file)) }
    }

    /// Counts what this side does in a handshake of TLS 1.3 with P-256 certificates that the authority itself has issued.
    pub(super) fn handshake(&self, provider: bool, resumed: bool) {
        if let ([full, again], false) = (&self.clients, provider) {
            if resumed { again } else { full }.fetch_add(1, Relaxed);
        }
        count(Operation::AgreeX25519, 0);
        if !resumed {
            count(Operation::SignP256Ring, CERTIFICATE_VERIFY);
        }
        if provider && !resumed {
            count(Operation::VerifyP256, CERTIFICATE_VERIFY);
            count(Operation::VerifyP256, CERTIFICATE);
        }
    }

    /// Writes a line, if it is another than the last one.
    pub(super) fn write(&self) {
        let mut state = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = totals().into_iter().filter(|(_, count)| count.times > 0);
        let counted: Map<_, _> =
            counted.map(|(operation, count)| (format!("{operation:?}"), json!([count.times, count.octets]))).collect();
        let clients: Vec<_> = self.clients.iter().map(|handshakes| handshakes.load(Relaxed)).collect();
        let line = json!({ "process": self.process, "operations": counted, "clients": clients });
        if line != state.0 {
            // A record that cannot be written is missed by the benchmark that wanted it.
            let _ = state.1.write_all(format!("{line}\n").as_bytes());
            state.0 = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_written_once() {
        let path = std::env::temp_dir().join(format!("mimi-operations-{}.jsonl", std::process::id()));
        let operations = Operations::new(File::create(&path).unwrap());
        operations.handshake(false, false);
        operations.handshake(false, true);
        operations.handshake(true, false);
        operations.write();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(line.get("clients").unwrap(), &json!([1, 1]));
        let times = |name: &str| line.pointer(&format!("/operations/{name}/0")).unwrap().as_u64().unwrap();
        // Other tests of this process shake hands at the same time.
        assert!(times("AgreeX25519") >= 3 && times("SignP256Ring") >= 2 && times("VerifyP256") >= 2, "{line}");
    }
}
