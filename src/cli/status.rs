//! `tidegate status`: what a running gate serves now.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::{StatusArgs, fail, print};

/// How long the gate may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the gate and says what it answered; exit code 1 when it could not be reached.
pub fn run(args: &StatusArgs) -> ExitCode {
    let answer = match ask(args.admin) {
        Ok(answer) => answer,
        Err(error) => {
            fail(&format!("no gate answers on {}: {error}", args.admin));
            return ExitCode::FAILURE;
        }
    };
    if args.json {
        print(&answer);
        return ExitCode::SUCCESS;
    }
    match serde_json::from_str::<Value>(&answer) {
        Ok(status) => {
            print(&told(&status));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&format!("{} is not a gate's admin address: {error}", args.admin)),
    }
}

fn ask(admin: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /-/status HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

/// The status in a few lines.
fn told(status: &Value) -> String {
    let live = &status["live"];
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut out = format!(
        "live      generation {} ({}) since {}\n",
        live["generation"],
        text(&live["hash"]),
        text(&live["since"])
    );
    if let Some(rejected) = status.get("rejected") {
        let _ = writeln!(out, "rejected  {}", text(&rejected["at"]));
        for fault in rejected["faults"].as_array().into_iter().flatten() {
            let _ = writeln!(out, "          {}", text(fault));
        }
    }
    for note in status["needs_restart"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "restart   {}", text(note));
    }
    let errors = status["hook_errors"].as_array().map_or(0, Vec::len);
    if errors > 0 {
        let _ = writeln!(out, "hooks     {errors} failed lately; --json tells which");
    }
    out
}
