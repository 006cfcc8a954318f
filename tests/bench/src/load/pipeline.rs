//! One connection to a server that answers in order, such as Redis: pipelines in flight.

use super::{Commands, Latencies, Span};
use crate::clock;
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// One connection.
pub(super) struct Pipeline<'a> {
    socket: TcpStream,
    commands: &'a Commands,
    next: usize,
    step: usize,
}

impl<'a> Pipeline<'a> {
    /// Connects, as `number` of `step` that share the pipelines.
    pub(super) fn open(address: SocketAddr, commands: &'a Commands, number: usize, step: usize) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        Ok(Self { socket, commands, next: number, step })
    }

    /// Keeps `in_flight` pipelines in flight for the span, and counts those that are answered in it.
    ///
    /// # Errors
    /// Whatever fails, and any answer that is not the right one.
    pub(super) fn call(mut self, in_flight: usize, span: Span<'_>) -> io::Result<Latencies> {
        let mut latencies = Latencies::new();
        let (mut sent, mut outbox) = (VecDeque::new(), Vec::new());
        let mut inbox = vec![0; self.commands.answer_bytes * (in_flight + 1)];
        let mut filled = 0;
        loop {
            let now = clock::now();
            if span.is_over(now) {
                return Ok(latencies);
            }
            while sent.len() < in_flight {
                outbox.extend_from_slice(self.commands.pipelines.at(self.next).expect("they are sent again and again"));
                self.next += self.step;
                sent.push_back(now);
            }
            self.socket.write_all(&outbox)?;
            outbox.clear();
            filled += match self.socket.read(&mut inbox[filled..])? {
                0 => return Err(io::Error::other("the server closed the connection")),
                read => read,
            };
            let now = clock::now();
            let mut at = 0;
            while let Some(answers) = inbox[at..filled].get(..self.commands.answer_bytes) {
                if !(self.commands.accept)(answers) {
                    return Err(io::Error::other("an answer is not the right one"));
                }
                let since = sent.pop_front().ok_or_else(|| io::Error::other("an answer that nobody asked"))?;
                if now >= span.from {
                    latencies.record(now - since);
                }
                at += self.commands.answer_bytes;
            }
            inbox.copy_within(at..filled, 0);
            filled -= at;
        }
    }
}
