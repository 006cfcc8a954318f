//! `latchkey rotation watch`: how the use of a key moves from the old version to the new one, until the rotation ends.
//!
//! On a terminal a picture that is drawn anew; elsewhere a line for each change; for programs the whole answer each time.

use super::VIEW;
use super::frame::{Canvas, line, picture};
use super::millis;
use crate::cli::api::Answer;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::names::Kind;
use crate::cli::output::{self, terminal_rows, terminal_width};
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;
use tokio::time::sleep;

/// Looking more often shows nothing more, and asks every replica each time.
const EVERY_MIN: Duration = Duration::from_millis(200);

/// Which to watch.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey rotation watch acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP
  latchkey rotation watch acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP --output json | jq .evidence.old.callers

Ends with the rotation: exit code 0 where it was completed, 3 where it ended otherwise.")]
pub(crate) struct Watch {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY/ROTATION")]
    name: String,
    /// How often to look; 200ms at least.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "2s")]
    every: Duration,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        follow(context, context.name(Kind::Rotation, &self.name)?, self.every).await
    }
}

/// Shows a rotation until it has ended.
pub(super) async fn follow(context: &Context, name: String, every: Duration) -> Result<Exit, CliError> {
    let mut screen = Screen::default();
    loop {
        match context.api.get_rotation(pb::GetRotationRequest { name: name.clone() }).await {
            Ok(answer) => {
                screen.show(context, &answer)?;
                if let Some(exit) = ended(&answer.message) {
                    return Ok(exit);
                }
            }
            // Who has begun to watch goes on through an election.
            Err(error) if error.exit() == Exit::Unavailable && screen.has_shown() => {
                screen.away(error.text().lines().next().unwrap_or_default());
            }
            Err(error) => return Err(error),
        }
        sleep(every.max(EVERY_MIN)).await;
    }
}

fn ended(rotation: &pb::Rotation) -> Option<Exit> {
    use pb::rotation::State;
    match rotation.state() {
        State::Completed => Some(Exit::Done),
        State::RolledBack | State::Cancelled | State::Failed => Some(Exit::No),
        _ => None,
    }
}

/// What was shown last.
#[derive(Debug, Default)]
struct Screen {
    /// Lines of the picture, which the next one is drawn over.
    drawn: usize,
    /// The last line.
    told: String,
}

impl Screen {
    const fn has_shown(&self) -> bool {
        self.drawn > 0 || !self.told.is_empty()
    }

    fn show(&mut self, context: &Context, answer: &Answer<pb::Rotation>) -> Result<(), CliError> {
        let rotation = &answer.message;
        if !context.printer.is_for_people() {
            let row = context.printer.row(&VIEW, &answer.json(), !self.has_shown());
            self.told.clone_from(&row);
            return output::print(&row);
        }
        match terminal_width() {
            Some(columns) => self.draw(context, rotation, columns),
            None => self.tell(rotation),
        }
    }

    fn draw(&mut self, context: &Context, rotation: &pb::Rotation, columns: u16) -> Result<(), CliError> {
        let look = context.printer.look();
        let canvas = Canvas { columns: usize::from(columns), colour: look.colour, now: look.now };
        let mut lines = picture(rotation, canvas);
        // What has left the screen at its top cannot be drawn over.
        lines.truncate(terminal_rows().map_or(usize::MAX, |rows| usize::from(rows).saturating_sub(1).max(1)));
        let up = if self.drawn > 0 { format!("\u{1b}[{}A", self.drawn) } else { String::new() };
        self.drawn = lines.len();
        // Back to the first line of the last picture, and away with all below.
        output::print(&format!("{up}\r\u{1b}[J{}\n", lines.join("\n")))
    }

    fn tell(&mut self, rotation: &pb::Rotation) -> Result<(), CliError> {
        let line = line(rotation);
        if line == self.told {
            return Ok(());
        }
        self.told.clone_from(&line);
        let evidence = rotation.evidence.as_ref().and_then(|evidence| evidence.time);
        let time = evidence.or(rotation.update_time).filter(|time| millis(Some(*time)).is_some());
        output::print(&format!("{}  {line}\n", time.map(|time| time.to_string()).unwrap_or_default()))
    }

    fn away(&mut self, why: &str) {
        // The next picture begins below.
        self.drawn = 0;
        self.told = why.to_owned();
        output::note(why);
    }
}
