//! One connection with calls in flight: write what fits, read what came, again.

use super::bodies::MESSAGE_HEAD;
use super::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEAD_BYTES, HEADERS, Head, INITIAL_WINDOW, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_BYTES, WINDOW_UPDATE, first_block, later_block, push_data, push_head, push_settings, push_window,
    settings,
};
use super::{Calls, Kind, Latencies, Span};
use crate::clock;
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a server may be silent. A call takes less than a hundredth of it.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Calls whose time of sending is remembered. Many more than are in flight.
const SLOTS: usize = 1_024;

/// What each side takes before it has said anything (RFC 9113, section 6.9.2).
const ROOM_BYTES: i64 = 65_535;

/// The number of the one stream, where there is one.
const ONLY_STREAM: u32 = 1;

/// A call in flight.
#[derive(Clone)]
struct Slot {
    stream: u32,
    sent: Instant,
    right: bool,
    /// The beginning of a message that came in several frames.
    partial: Vec<u8>,
}

/// One connection.
pub(super) struct Connection<'a> {
    socket: TcpStream,
    calls: &'a Calls,
    block: Vec<u8>,
    next: usize,
    step: usize,
    next_stream: u32,
    slots: Vec<Slot>,
    /// When the items of the one stream were sent, the oldest first.
    items: VecDeque<Instant>,
    open: usize,
    outbox: Vec<u8>,
    received_bytes: u32,
    /// What the server takes still: of the connection, of a new stream, and of the one stream.
    room: i64,
    stream_room: i64,
    items_room: i64,
    /// Whether answers count now.
    counts: bool,
    latencies: Latencies,
}

impl<'a> Connection<'a> {
    /// Connects, as `number` of `step` that share the requests.
    pub(super) fn open(address: SocketAddr, calls: &'a Calls, number: usize, step: usize) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        let mut outbox = PREFACE.to_vec();
        push_settings(&mut outbox);
        push_window(&mut outbox, 0, WINDOW_BYTES);
        let now = clock::now();
        Ok(Self {
            socket,
            calls,
            block: first_block(&calls.headers),
            next: number,
            step,
            next_stream: ONLY_STREAM,
            slots: vec![Slot { stream: 0, sent: now, right: false, partial: Vec::new() }; SLOTS],
            items: VecDeque::new(),
            open: 0,
            outbox,
            received_bytes: 0,
            room: ROOM_BYTES,
            stream_room: ROOM_BYTES,
            items_room: ROOM_BYTES,
            counts: false,
            latencies: Latencies::new(),
        })
    }

    /// Keeps `in_flight` calls in flight for the span, and counts those that are answered in it.
    ///
    /// # Errors
    /// Whatever fails, and any answer that is not the right one.
    pub(super) fn call(mut self, in_flight: usize, span: Span<'_>) -> io::Result<Latencies> {
        let mut inbox = vec![0; 256 * 1_024];
        let mut filled = 0;
        loop {
            let now = clock::now();
            let over = span.is_over(now);
            while !over && self.open < in_flight && self.ask(now) {}
            // Calls in flight are waited for: whoever leaves without their answers makes work for the server.
            if self.open == 0 && (over || self.calls.bodies.at(self.next).is_none()) {
                return Ok(self.latencies);
            }
            self.socket.write_all(&self.outbox)?;
            self.outbox.clear();

            filled += match self.socket.read(&mut inbox[filled..])? {
                0 => return Err(io::Error::other("the server closed the connection")),
                read => read,
            };
            let now = clock::now();
            self.counts = span.counts(now);
            let mut at = 0;
            while let Some(head) = Head::read(&inbox[at..filled]) {
                let end = at + HEAD_BYTES + head.length;
                if end > filled {
                    break;
                }
                self.take(head, &inbox[at + HEAD_BYTES..end], now)?;
                at = end;
            }
            inbox.copy_within(at..filled, 0);
            filled -= at;
        }
    }

    /// Appends one call to what is to be sent. False where there is none, or no room for it yet.
    fn ask(&mut self, now: Instant) -> bool {
        let Some(body) = self.calls.bodies.at(self.next) else { return false };
        let bytes = i64::try_from(body.len()).expect("a request is short");
        let streaming = self.calls.kind == Kind::Stream;
        if bytes > self.room.min(if streaming { self.items_room } else { self.stream_room }) {
            return false;
        }
        self.room -= bytes;
        self.next += self.step;
        self.open += 1;
        let stream = if streaming { ONLY_STREAM } else { self.next_stream };
        if stream == self.next_stream {
            self.next_stream += 2;
            push_head(&mut self.outbox, self.block.len(), HEADERS, END_HEADERS, stream);
            self.outbox.extend_from_slice(&self.block);
            if stream == ONLY_STREAM {
                self.block = later_block(&self.calls.headers);
            }
            let slot = &mut self.slots[slot_of(stream)];
            (slot.stream, slot.sent, slot.right) = (stream, now, false);
            slot.partial.clear();
        }
        if streaming {
            self.items_room -= bytes;
            self.items.push_back(now);
        }
        push_data(&mut self.outbox, body, stream, if streaming { 0 } else { END_STREAM });
        true
    }

    /// Takes one frame in.
    fn take(&mut self, head: Head, content: &[u8], now: Instant) -> io::Result<()> {
        match head.kind {
            DATA => {
                self.received_bytes += u32::try_from(content.len()).expect("a frame is shorter than 2^24");
                if self.received_bytes > WINDOW_BYTES / 2 {
                    push_window(&mut self.outbox, 0, std::mem::take(&mut self.received_bytes));
                }
                self.take_content(head.stream, content, now)?;
            }
            SETTINGS if head.flags & ACK == 0 => {
                for (_, value) in settings(content).filter(|(setting, _)| *setting == INITIAL_WINDOW) {
                    self.items_room += i64::from(value) - self.stream_room;
                    self.stream_room = i64::from(value);
                }
                push_head(&mut self.outbox, 0, SETTINGS, ACK, 0);
            }
            PING if head.flags & ACK == 0 => {
                push_head(&mut self.outbox, content.len(), PING, ACK, 0);
                self.outbox.extend_from_slice(content);
            }
            WINDOW_UPDATE => {
                let more = content.first_chunk().map_or(0, |bytes| i64::from(u32::from_be_bytes(*bytes)));
                match head.stream {
                    0 => self.room += more,
                    _ if self.calls.kind == Kind::Stream => self.items_room += more,
                    _ => {}
                }
            }
            RST_STREAM | GOAWAY => return Err(io::Error::other("the server refused calls")),
            _ => {}
        }
        if matches!(head.kind, DATA | HEADERS) && head.flags & END_STREAM != 0 {
            let slot = &self.slots[slot_of(head.stream)];
            if self.calls.kind == Kind::Stream || slot.stream != head.stream || !slot.right {
                return Err(io::Error::other("a call was not answered as it should be"));
            }
            self.done(slot.sent, now);
        }
        Ok(())
    }

    /// Looks at each message that `content` ends.
    fn take_content(&mut self, stream: u32, content: &[u8], now: Instant) -> io::Result<()> {
        let slot = slot_of(stream);
        let mut partial = std::mem::take(&mut self.slots[slot].partial);
        let mut rest = content;
        if !partial.is_empty() {
            partial.extend_from_slice(content);
            rest = &partial;
        }
        while let Some(length) = rest.first_chunk::<MESSAGE_HEAD>().map(|[_, a, b, c, d]| [*a, *b, *c, *d]) {
            let end = MESSAGE_HEAD + u32::from_be_bytes(length) as usize;
            let Some(message) = rest.get(MESSAGE_HEAD..end) else { break };
            if !(self.calls.accept)(message) {
                return Err(io::Error::other("an answer is not the right one"));
            }
            match self.calls.kind {
                Kind::Unary => self.slots[slot].right = true,
                Kind::Stream => {
                    let sent = self.items.pop_front().ok_or_else(|| io::Error::other("an answer that nobody asked"))?;
                    self.done(sent, now);
                }
            }
            rest = &rest[end..];
        }
        // Nearly always nothing is left, and nothing is copied.
        self.slots[slot].partial = if rest.is_empty() {
            partial.clear();
            partial
        } else {
            rest.to_vec()
        };
        Ok(())
    }

    fn done(&mut self, sent: Instant, now: Instant) {
        self.open -= 1;
        if self.counts {
            self.latencies.record(now - sent);
        }
    }
}

const fn slot_of(stream: u32) -> usize {
    (stream / 2) as usize % SLOTS
}
