//! One connection with calls in flight: write what fits, read what came, again.

use super::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEAD_BYTES, HEADERS, Head, PING, PREFACE, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, first_block, later_block, push_head,
};
use super::{Calls, Latencies};
use crate::clock;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a server may be silent. A call takes less than a thousandth of it.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How much a server may send before we say that it may go on. The window is raised by what came, once half is used.
const WINDOW_BYTES: u32 = 1 << 30;

/// Calls whose time of sending is remembered. Many more than are in flight.
const SLOTS: usize = 1_024;

/// A message on the wire begins with a byte for its compression and four for its length.
const MESSAGE_HEAD: usize = 5;

/// How an answer begins that says VALID: field 1, a number, 1.
const VALID: [u8; 2] = [0x08, 0x01];

/// A call in flight.
#[derive(Clone, Copy)]
struct Slot {
    stream: u32,
    sent: Instant,
    valid: bool,
}

/// One connection.
pub(super) struct Connection<'a> {
    socket: TcpStream,
    calls: &'a Calls,
    block: Vec<u8>,
    next_key: usize,
    next_stream: u32,
    slots: Vec<Slot>,
    outbox: Vec<u8>,
    received_bytes: u32,
}

impl<'a> Connection<'a> {
    /// Connects. Connections begin at different keys, and pass through all of them.
    pub(super) fn open(address: SocketAddr, calls: &'a Calls, number: usize) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(SILENCE_MAX))?;
        let mut outbox = PREFACE.to_vec();
        push_head(&mut outbox, 0, SETTINGS, 0, 0);
        push_window(&mut outbox, WINDOW_BYTES);
        let slots = vec![Slot { stream: 0, sent: clock::now(), valid: false }; SLOTS];
        let block = first_block(&calls.headers);
        let next_key = number.wrapping_mul(7_919) % calls.key_texts.len();
        Ok(Self { socket, calls, block, next_key, next_stream: 1, slots, outbox, received_bytes: 0 })
    }

    /// Keeps `in_flight` calls in flight until `until`, and counts those that are answered from `from` on.
    ///
    /// # Errors
    /// Whatever fails, and any answer that is not VALID: what is measured must be the real thing.
    pub(super) fn call(mut self, in_flight: usize, from: Instant, until: Instant) -> io::Result<Latencies> {
        let mut latencies = Latencies::new();
        let mut inbox = vec![0; 256 * 1_024];
        let (mut filled, mut open) = (0, 0);
        loop {
            let now = clock::now();
            if now >= until {
                return Ok(latencies);
            }
            while open < in_flight {
                self.ask(now);
                open += 1;
            }
            self.socket.write_all(&self.outbox)?;
            self.outbox.clear();

            filled += match self.socket.read(&mut inbox[filled..])? {
                0 => return Err(io::Error::other("the server closed the connection")),
                read => read,
            };
            let now = clock::now();
            let mut at = 0;
            while let Some(head) = Head::read(&inbox[at..filled]) {
                let end = at + HEAD_BYTES + head.length;
                if end > filled {
                    break;
                }
                if let Some(sent) = self.take(head, &inbox[at + HEAD_BYTES..end])? {
                    open -= 1;
                    if now >= from {
                        latencies.record(now - sent);
                    }
                }
                at = end;
            }
            inbox.copy_within(at..filled, 0);
            filled -= at;
        }
    }

    /// Appends one call to what is to be sent.
    fn ask(&mut self, now: Instant) {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.slots[slot_of(stream)] = Slot { stream, sent: now, valid: false };
        push_head(&mut self.outbox, self.block.len(), HEADERS, END_HEADERS, stream);
        self.outbox.extend_from_slice(&self.block);
        if stream == 1 {
            self.block = later_block(&self.calls.headers);
        }

        let request = &self.calls.request;
        push_head(&mut self.outbox, MESSAGE_HEAD + request.len(), DATA, END_STREAM, stream);
        self.outbox.push(0);
        self.outbox.extend_from_slice(&u32::try_from(request.len()).expect("a request is short").to_be_bytes());
        let key_text_at = self.outbox.len() + self.calls.key_text_at;
        self.outbox.extend_from_slice(request);
        let key_text = self.calls.key_texts[self.next_key].as_bytes();
        self.outbox[key_text_at..key_text_at + key_text.len()].copy_from_slice(key_text);
        self.next_key = (self.next_key + 1) % self.calls.key_texts.len();
    }

    /// Takes one frame in. Gives when its call was sent, if that is over.
    fn take(&mut self, head: Head, content: &[u8]) -> io::Result<Option<Instant>> {
        match head.kind {
            DATA => {
                self.slots[slot_of(head.stream)].valid = content.get(MESSAGE_HEAD..MESSAGE_HEAD + 2) == Some(&VALID);
                self.received_bytes += u32::try_from(content.len()).expect("a frame is shorter than 2^24");
                if self.received_bytes > WINDOW_BYTES / 2 {
                    push_window(&mut self.outbox, std::mem::take(&mut self.received_bytes));
                }
            }
            SETTINGS if head.flags & ACK == 0 => push_head(&mut self.outbox, 0, SETTINGS, ACK, 0),
            PING if head.flags & ACK == 0 => {
                push_head(&mut self.outbox, content.len(), PING, ACK, 0);
                self.outbox.extend_from_slice(content);
            }
            RST_STREAM | GOAWAY => return Err(io::Error::other("the server refused calls")),
            _ => {}
        }
        if !matches!(head.kind, DATA | HEADERS) || head.flags & END_STREAM == 0 {
            return Ok(None);
        }
        let slot = self.slots[slot_of(head.stream)];
        if slot.stream != head.stream || !slot.valid {
            return Err(io::Error::other("a call was answered otherwise than VALID"));
        }
        Ok(Some(slot.sent))
    }
}

const fn slot_of(stream: u32) -> usize {
    (stream / 2) as usize % SLOTS
}

fn push_window(out: &mut Vec<u8>, bytes: u32) {
    push_head(out, 4, WINDOW_UPDATE, 0, 0);
    out.extend_from_slice(&bytes.to_be_bytes());
}
