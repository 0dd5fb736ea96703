use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
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
    let answer = || -> std::io::Result<String> {
        let mut tcp = TcpStream::connect_timeout(&admin.listen, PATIENCE)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        tcp.write_all(b"GET /ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        tcp.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = answer().map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            refused(&format!("no answer from {} in {} seconds", admin.listen, PATIENCE.as_secs()))
        }
        _ => refused(&format!("{}: {error}", admin.listen)),
    })?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    let (_, text) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Err(refused(text.trim()))
}
