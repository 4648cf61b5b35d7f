//! What a guest printed, as plain text: without the codes that move a cursor or change colours.
//!
//! Codes: ECMA-48 (5th edition), 5.4 for control sequences, 5.6 for control strings.

/// The most text that is kept; what is older goes first.
const TEXT_LIMIT_BYTES: usize = 1 << 20;
/// A control sequence longer than this is none.
const SEQUENCE_LIMIT: usize = 256;

/// Text as it comes, with codes taken out.
#[derive(Clone, Debug, Default)]
pub(super) struct Screen {
    text: String,
    state: State,
    sequence: usize,
    /// Bytes of the text that were let go.
    gone: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    /// After ESC.
    Escape,
    /// In a control sequence, up to its final byte.
    Sequence,
    /// In a control string, up to BEL or ESC \.
    String,
}

impl Screen {
    /// Takes more bytes in.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.byte(*byte));
        if self.text.len() > TEXT_LIMIT_BYTES {
            // Text is ASCII and replacement characters, so a place to cut is never far.
            let surplus = self.text.len() - TEXT_LIMIT_BYTES / 2;
            let cut = (surplus..self.text.len()).find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
            self.text.drain(..cut);
            self.gone += cut;
        }
    }

    fn byte(&mut self, byte: u8) {
        self.sequence += 1;
        self.state = match (self.state, byte) {
            (State::Plain | State::Escape, 0x1b) => {
                self.sequence = 0;
                State::Escape
            }
            (State::Plain, _) => {
                self.plain(byte);
                State::Plain
            }
            (State::Escape, b'[') => State::Sequence,
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String,
            // An intermediate byte: the code goes on.
            (State::Escape, 0x20..=0x2f) => State::Escape,
            (State::Escape, _) | (State::Sequence, 0x40..=0x7e) | (State::String, 0x07) => State::Plain,
            (State::Sequence | State::String, 0x1b) => State::Escape,
            (_, _) if self.sequence > SEQUENCE_LIMIT => State::Plain,
            (state, _) => state,
        };
    }

    fn plain(&mut self, byte: u8) {
        match byte {
            b'\n' | b'\t' | 0x20..=0x7e => self.text.push(char::from(byte)),
            // What a typist takes back, a guest's echo takes back.
            0x08 => drop(self.text.pop()),
            0..=0x1f | 0x7f => {}
            0x80.. => self.text.push(char::REPLACEMENT_CHARACTER),
        }
    }

    /// Where the text ends now.
    pub(super) fn end(&self) -> usize {
        self.gone + self.text.len()
    }

    /// What came after a place that [`end`](Self::end) gave, as far as it is kept.
    pub(super) fn since(&self, place: usize) -> &str {
        self.text.get(place.saturating_sub(self.gone)..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut screen = Screen::default();
        // Wherever the reads end.
        bytes.chunks(3).for_each(|chunk| screen.push(chunk));
        screen.since(0).to_owned()
    }

    #[test]
    fn codes_are_taken_out_and_text_stays() {
        assert_eq!(
            shown(b"\x1b[2J\x1b[01;01H\x1b[1m\x1b[33mShell> \x1b[0mpci\r\n\x1b]0;title\x07ok\x1b(B!"),
            "Shell> pci\nok!"
        );
        assert_eq!(shown(b"lx\x08s\0\xff\n"), "ls\u{fffd}\n");
    }

    #[test]
    fn a_code_without_end_does_not_swallow_all_that_follows() {
        let mut bytes = b"\x1b[".to_vec();
        bytes.extend([b'1'; 400]);
        bytes.extend(b"\nprompt> ");
        assert!(shown(&bytes).ends_with("\nprompt> "));
    }

    #[test]
    fn old_text_is_let_go_and_places_stay_right() {
        let mut screen = Screen::default();
        screen.push(&vec![b'x'; TEXT_LIMIT_BYTES]);
        let place = screen.end();
        screen.push(b"new");
        assert_eq!(screen.since(place), "new");
        assert!(screen.since(0).len() <= TEXT_LIMIT_BYTES);
    }
}
