//! How the process ends: one number for each thing that a script may want to do next.

use std::process::ExitCode;
use tonic::Code;

/// The part of `--help` that documents the numbers.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  the call failed: refused, or a bug; standard error says which
  2  usage: an argument, a variable, a file or the profile is not what it must be
  3  the key is not valid (validate, explain); for doctor and audit verify: something is wrong; for key import: some rows
     were refused; for rotation watch: it was not completed
  4  there is no such resource, or none that you may know of
  5  nobody knows who you are, or you may not do this
  6  unavailable: nothing was decided, try again
  run gives the exit code of its command; 126 and 127 where it cannot be started or is not there, 128 + N after signal N";

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: the call failed.
    Failed,
    /// 2: an argument, a variable, a file or the profile is not what it must be.
    Usage,
    /// 3: the answer is a no: a key that is not valid, an installation that is not well, rows that were refused.
    No,
    /// 4: there is no such resource.
    NotFound,
    /// 5: unauthenticated, or permission denied.
    NotAllowed,
    /// 6: unavailable, try again.
    Unavailable,
    /// The exit code of a child process.
    Child(u8),
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::No => 3,
            Self::NotFound => 4,
            Self::NotAllowed => 5,
            Self::Unavailable => 6,
            Self::Child(number) => number,
        }
    }

    /// Of a call that ended with this code.
    #[must_use]
    pub const fn of(code: Code) -> Self {
        match code {
            Code::Ok => Self::Done,
            Code::NotFound => Self::NotFound,
            Code::Unauthenticated | Code::PermissionDenied => Self::NotAllowed,
            Code::Unavailable | Code::DeadlineExceeded => Self::Unavailable,
            // What the services find wrong in a request came from an argument.
            Code::InvalidArgument => Self::Usage,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_but_that_of_a_child_is_documented_once() {
        let all =
            [Exit::Done, Exit::Failed, Exit::Usage, Exit::No, Exit::NotFound, Exit::NotAllowed, Exit::Unavailable];
        for (expected, exit) in all.into_iter().enumerate() {
            assert_eq!(usize::from(exit.number()), expected);
            assert_eq!(HELP.matches(&format!("\n  {expected}  ")).count(), 1, "{exit:?}");
        }
    }

    #[test]
    fn what_may_be_tried_again_is_told_from_what_is_refused() {
        assert_eq!(Exit::of(Code::Unavailable), Exit::Unavailable);
        assert_eq!(Exit::of(Code::DeadlineExceeded), Exit::Unavailable);
        assert_eq!(Exit::of(Code::FailedPrecondition), Exit::Failed);
        assert_eq!(Exit::of(Code::PermissionDenied), Exit::NotAllowed);
    }
}
