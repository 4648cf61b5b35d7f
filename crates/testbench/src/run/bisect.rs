//! Which of many firmware builds was the first bad one: a binary search that can do without builds that cannot be judged.

/// A build by its place in the list, the oldest being 0.
pub type Build = usize;

/// What a build turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Nothing fails.
    Good,
    /// Something fails.
    Bad,
    /// It cannot be said: it cannot be installed, or no case could run.
    Unknown,
}

/// A search under way. The first build is good and the last is bad; in between, what is bad stays bad.
#[derive(Clone, Debug)]
pub struct Bisection {
    judged: Vec<Option<Judged>>,
    /// The newest that is good.
    good: Build,
    /// The oldest that is bad.
    bad: Build,
}

impl Bisection {
    /// Begins a search among so many builds, of which the first is known to be good and the last to be bad. `None` for
    /// fewer than two.
    pub fn new(builds: usize) -> Option<Self> {
        let bad = builds.checked_sub(1).filter(|bad| *bad > 0)?;
        Some(Self { judged: vec![None; builds], good: 0, bad })
    }

    /// Which build to judge next: the one nearest the middle that has not been. `None` when nothing is left to learn.
    pub fn next(&self) -> Option<Build> {
        let middle = self.good + (self.bad - self.good) / 2;
        let open = |build: &Build| self.judged.get(*build).is_some_and(Option::is_none);
        (self.good + 1..self.bad).filter(open).min_by_key(|build| build.abs_diff(middle))
    }

    /// Takes what a build turned out to be. Builds outside the range under search change nothing.
    pub fn tell(&mut self, build: Build, judged: Judged) {
        if !(self.good + 1..self.bad).contains(&build) {
            return;
        }
        if let Some(place) = self.judged.get_mut(build) {
            *place = Some(judged);
        }
        match judged {
            Judged::Good => self.good = build,
            Judged::Bad => self.bad = build,
            Judged::Unknown => {}
        }
    }

    /// How many more builds may have to be judged.
    pub fn left(&self) -> u32 {
        (self.bad - self.good - 1).checked_ilog2().map_or(0, |steps| steps + 1)
    }

    /// The newest build that is good, and the oldest that is bad. Any between them could not be judged.
    pub fn bounds(&self) -> (Build, Build) {
        (self.good, self.bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(judge: impl Fn(Build) -> Judged, builds: usize) -> (Build, Build, usize) {
        let mut search = Bisection::new(builds).unwrap();
        let mut steps = 0;
        while let Some(build) = search.next() {
            search.tell(build, judge(build));
            steps += 1;
        }
        let (good, bad) = search.bounds();
        (good, bad, steps)
    }

    #[test]
    fn the_first_bad_build_is_found_wherever_it_is_in_few_steps() {
        for builds in 2..40 {
            for first in 1..builds {
                let judge = |build| if build < first { Judged::Good } else { Judged::Bad };
                let (good, bad, steps) = search(judge, builds);
                assert_eq!((good, bad), (first - 1, first));
                assert!(steps <= builds.ilog2() as usize + 1, "{builds} {first} {steps}");
            }
        }
    }

    #[test]
    fn builds_that_cannot_be_judged_are_gone_around_and_left_in_doubt() {
        let judge = |build| match build {
            4..=6 => Judged::Unknown,
            0..=3 => Judged::Good,
            _ => Judged::Bad,
        };
        let (good, bad, steps) = search(judge, 12);
        assert_eq!((good, bad), (3, 7));
        assert!(steps <= 11);
        let (good, bad, _) = search(|_| Judged::Unknown, 5);
        assert_eq!((good, bad), (0, 4));
        assert!(Bisection::new(1).is_none() && Bisection::new(0).is_none());
    }
}
