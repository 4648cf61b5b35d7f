//! Scripts that a post quotes: what their comments speak of has not happened, and their commands are no sentences.

/// Lines of a script at most; a fence that is never closed does not silence the rest of a post.
const LINES: u16 = 200;

/// What a line is in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// No part of one.
    Outside,
    Command,
    Comment,
}

/// Where in a fenced script the lines so far end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scripts {
    #[default]
    Outside,
    /// A fence of Markdown has opened, or closed.
    Fence,
    /// In a script, with so many lines left.
    Inside(u16),
}

impl Scripts {
    /// Takes in one more line and says what it is.
    pub(super) fn take(&mut self, line: &str) -> Part {
        let fence = line.strip_prefix("```");
        let begins = fence.unwrap_or(line).starts_with("#!/");
        *self = match (*self, fence) {
            (Self::Inside(_), Some(_)) => Self::Outside,
            (_, Some(_)) if begins => Self::Inside(LINES),
            (_, Some(_)) => Self::Fence,
            (Self::Fence, None) if begins => Self::Inside(LINES),
            (Self::Fence, None) if line.is_empty() => Self::Fence,
            (Self::Inside(left), None) if left > 0 => Self::Inside(left - 1),
            _ => Self::Outside,
        };
        match *self {
            Self::Inside(_) if fence.is_none() && line.starts_with('#') => Part::Comment,
            Self::Inside(_) => Part::Command,
            _ => Part::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_of_a_fenced_script_are_told_from_headings() {
        let mut scripts = Scripts::default();
        let lines = ["# It fails", "```bash", "#!/bin/bash", "# Avoid a race", "sleep 2", "```", "# Help"];
        let parts = lines.map(|line| scripts.take(line));
        assert_eq!(
            parts,
            [
                Part::Outside,
                Part::Outside,
                Part::Comment,
                Part::Comment,
                Part::Command,
                Part::Outside,
                Part::Outside
            ]
        );
        let mut plain = Scripts::default();
        assert_eq!(["```", "# modprobe vfio-pci"].map(|line| plain.take(line)), [Part::Outside; 2]);
    }
}
