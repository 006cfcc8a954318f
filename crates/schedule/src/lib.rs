//! When rotations may start: the windows of a rotation policy (rank 3).
//!
//! `domain` bounds the texts of a window; here is what they mean. A window opens whenever the clock on the wall of its
//! time zone tells a time of its cron expression, and is open for its length, in real time.
//!
//! In: [`Windows`] of a policy, and [`Window`], one of them. Out: what a policy is (`domain`), which key is due
//! (`state`), what starts (the rotation service). There is no clock here: time is an argument.
//!
//! # Decisions
//! **Cron is read by croner on the clock on the wall, and jiff alone knows time zones.** Cron libraries differ in what they
//! do when clocks change, and where a fold runs an hourly job twice, a window would open twice. So the calendar is asked
//! for wall clock times, and one function tells when such a time is: first where it comes twice, at the jump where it is
//! skipped. Then openings never run backwards, and "open now" is one look ahead from one length ago.
//!
//! **The time zone data is built in.** Images without `/usr/share/zoneinfo`, or with an old one, would read one policy in
//! two ways. Price: laws of time change, and this program has to be built anew for them.

mod window;
mod windows;

pub use window::{Window, WindowError};
pub use windows::{Windows, WindowsError};
