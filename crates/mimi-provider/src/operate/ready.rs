use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::OperateError;
use crate::Config;

/// How long the provider may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// Asks the provider that runs by a configuration whether it can serve, at the address for tools: for health checks,
/// where there is no other program to ask with.
///
/// # Errors
/// [`OperateError::NotReady`] says why it cannot.
pub fn ready(config: &Config) -> Result<(), OperateError> {
    let refused = |why: &str| OperateError::NotReady(why.to_owned());
    let admin = config.admin.as_ref().ok_or_else(|| refused("there is no [admin] in the configuration"))?;
    match ask(admin.listen, "/ready") {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => Ok(()),
        Ok(answer) => Err(refused(answer.split_once("\r\n\r\n").unwrap_or_default().1.trim())),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(refused(&format!("no answer from {} in {} seconds", admin.listen, PATIENCE.as_secs())))
        }
        Err(error) => Err(refused(&format!("{}: {error}", admin.listen))),
    }
}

/// What is answered at an address for tools.
pub(super) fn ask(at: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut tcp = TcpStream::connect_timeout(&at, PATIENCE)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    tcp.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}
