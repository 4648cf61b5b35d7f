//! A server whose words a test chooses, over a socket pair.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use super::Qmp;

pub(crate) const LONG: Duration = Duration::from_secs(20);
pub(crate) const BRIEF: Duration = Duration::from_millis(100);
const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}"#;

/// The server's end: reads commands, writes whatever the test wants.
pub(crate) struct Server {
    pub(crate) reader: BufReader<UnixStream>,
}

impl Server {
    pub(crate) fn say(&mut self, text: &str) {
        // A client that has given up hangs up.
        let _ = self.reader.get_mut().write_all(text.as_bytes());
    }

    pub(crate) fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("readable");
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    /// Hears a command and answers it with its own id.
    pub(crate) fn answer(&mut self, body: &str) -> Value {
        let command = self.hear();
        self.say(&format!("{{{body}, \"id\": {}}}\r\n", command["id"]));
        command
    }

    pub(crate) fn greet(&mut self) {
        self.say(&format!("{GREETING}\r\n"));
        self.answer(r#""return": {}"#);
    }
}

pub(crate) fn serve<T: Send + 'static>(
    script: impl FnOnce(&mut Server) -> T + Send + 'static,
) -> (UnixStream, JoinHandle<T>) {
    let (client, server) = UnixStream::pair().expect("a socket pair");
    let handle = thread::spawn(move || script(&mut Server { reader: BufReader::new(server) }));
    (client, handle)
}

pub(crate) fn connected<T: Send + 'static>(
    script: impl FnOnce(&mut Server) -> T + Send + 'static,
) -> (Qmp, JoinHandle<T>) {
    let (client, handle) = serve(|server| {
        server.greet();
        script(server)
    });
    (Qmp::over(client, LONG).expect("greeting and negotiation"), handle)
}
