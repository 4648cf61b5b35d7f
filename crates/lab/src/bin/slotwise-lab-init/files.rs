//! File transfers over the control channel.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use slotwise_lab::channel::frame::Message;
use slotwise_lab::channel::wire::{ExitStatus, Failed, Fetch, Put};

use crate::serve::{Exchange, Input, Outlet};

/// Sends a file back, then code 0.
pub(crate) fn fetch(outlet: &Outlet, request: &Fetch) {
    let ended = File::open(&request.path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        outlet.pump(file, Message::Output);
        Ok(())
    });
    finish(outlet, ended, &format!("cannot read {}", request.path));
}

/// Writes a file from the exchange's input, then answers code 0.
pub(crate) fn put(outlet: &Outlet, exchange: &Exchange, request: &Put) {
    let ended = write(outlet, exchange, request);
    finish(outlet, ended, &format!("cannot write {}", request.path));
}

fn write(outlet: &Outlet, exchange: &Exchange, request: &Put) -> io::Result<()> {
    let path = Path::new(&request.path);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(request.mode).open(path)?;
    // The mode given to open() passes the umask and does not apply to a file that was there.
    file.set_permissions(Permissions::from_mode(request.mode))?;
    loop {
        match exchange.next_input() {
            Input::Bytes(bytes) => {
                file.write_all(&bytes)?;
                outlet.credit(bytes.len());
            }
            Input::End => return file.flush(),
            Input::Gone => return Err(io::Error::other("the sender went away before the end")),
        }
    }
}

fn finish(outlet: &Outlet, ended: io::Result<()>, what: &str) {
    outlet.send(match ended {
        Ok(()) => Message::Exit(ExitStatus::Code(0)),
        Err(error) => Message::Failed(Failed { message: format!("{what}: {error}") }),
    });
}
