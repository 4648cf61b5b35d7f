//! A relay between a client and a lab host that answers as the real one does.

use super::*;
use crate::channel::wire::ExitStatus;
use crate::session::Command;

fn hello() -> Hello {
    Hello { version: VERSION, kernel: "6.1".to_owned() }
}

/// Echoes each command's words as output, then exits with their number; `wait` runs until a signal.
fn lab_host(stream: &UnixStream) {
    while let Ok(frame) = Frame::read(stream) {
        let answers = match frame.message {
            Message::Run(run) if run.argv == ["wait"] => vec![],
            Message::Run(run) => vec![
                Message::Output(run.argv.join(" ").into_bytes()),
                Message::Exit(ExitStatus::Code(i32::try_from(run.argv.len()).unwrap())),
            ],
            Message::Signal(number) => vec![Message::Exit(ExitStatus::Signal(number))],
            Message::Fetch(_) => {
                vec![Message::Failed(crate::channel::wire::Failed { message: "no".to_owned() })]
            }
            _ => vec![],
        };
        for message in answers {
            Frame::new(frame.id, message).write(stream).unwrap();
        }
    }
}

fn shared() -> (tempfile::TempDir, Session, Share) {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || lab_host(&theirs));
    let session = Session::over(ours).unwrap();
    let share = Share::at(directory.path().join("s"), "s", &session, hello()).unwrap();
    (directory, session, share)
}

#[test]
fn clients_and_owner_run_commands_at_once_under_their_own_numbers() {
    let (_directory, owner, share) = shared();
    let client = || greet(UnixStream::connect(share.path()).unwrap()).unwrap();
    let sessions = [owner, client(), client()];
    std::thread::scope(|scope| {
        for session in &sessions {
            for words in 1..20 {
                scope.spawn(move || {
                    let output = session.output(&Command::new(vec!["a"; words]), 1000).unwrap();
                    assert_eq!(output.status, ExitStatus::Code(i32::try_from(words).unwrap()));
                    assert_eq!(output.stdout, vec!["a"; words].join(" ").into_bytes());
                });
            }
        }
    });
}

#[test]
fn a_refusal_and_a_signal_reach_the_client() {
    let (_directory, _owner, share) = shared();
    let client = greet(UnixStream::connect(share.path()).unwrap()).unwrap();
    assert!(matches!(client.fetch("/x", 10), Err(SessionError::Refused(message)) if message == "no"));
    let running = client.start(&Command::new(["wait"])).unwrap();
    running.control().signal(15).unwrap();
    assert_eq!(running.wait(|_, _| {}).unwrap(), ExitStatus::Signal(15));
}

#[test]
fn a_command_past_its_deadline_is_an_error() {
    let (_directory, owner, _share) = shared();
    let command = Command { deadline: Some(Duration::from_millis(50)), ..Command::new(["wait"]) };
    assert!(matches!(owner.output(&command, 10), Err(SessionError::Deadline { .. })));
}

#[test]
fn more_output_than_allowed_is_an_error() {
    let (_directory, owner, _share) = shared();
    assert!(matches!(owner.output(&Command::new(["a", "b"]), 2), Err(SessionError::TooLarge { .. })));
}

#[test]
fn a_second_lab_of_the_name_is_refused_and_a_dead_socket_is_not() {
    let (directory, owner, share) = shared();
    let path = share.path().to_owned();
    assert!(matches!(Share::at(path.clone(), "s", &owner, hello()), Err(ShareError::AlreadyUp { .. })));
    drop(share);
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    Share::at(path, "s", &owner, hello()).unwrap();
    drop(directory);
}

#[test]
fn when_the_lab_host_goes_whoever_waits_is_told() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let session = Session::over(ours).unwrap();
    let running = session.start(&Command::new(["wait"])).unwrap();
    drop(theirs);
    assert!(matches!(running.wait(|_, _| {}), Err(SessionError::Gone)));
    assert!(matches!(session.start(&Command::new(["wait"])), Err(SessionError::Gone)));
}

#[test]
fn when_a_client_goes_its_commands_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let session = Session::over(ours).unwrap();
    let share = Share::at(directory.path().join("s"), "s", &session, hello()).unwrap();
    let client = UnixStream::connect(share.path()).unwrap();
    Frame::read(&client).unwrap();
    let run = crate::channel::wire::Run { argv: vec!["wait".into()], env: vec![], cwd: None, terminal: None };
    Frame::new(ExchangeId(77), Message::Run(run)).write(&client).unwrap();
    let started = Frame::read(&theirs).unwrap();
    assert!(matches!(started.message, Message::Run(_)));
    drop(client);
    assert_eq!(Frame::read(&theirs).unwrap(), Frame::new(started.id, Message::Signal(SIGKILL)));
}
