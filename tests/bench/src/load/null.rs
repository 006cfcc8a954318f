//! A responder that does nothing but answer: what the generator could measure at most. It is the sink of traces as well.

use super::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, HEAD_BYTES, HEADERS, Head, PING, PREFACE, SETTINGS, WINDOW_BYTES, push_data,
    push_head, push_settings, push_window,
};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// `:status: 200`, and `content-type: application/grpc` as a name of the static table and a value.
const HEAD_BLOCK: &[u8] = b"\x88\x0f\x10\x10application/grpc";

/// `grpc-status: 0`, spelled out.
const TRAILER_BLOCK: &[u8] = b"\x00\x0bgrpc-status\x010";

/// Answers each call with `answer`, an encoded message, for as long as there are callers. A thread for each connection.
pub(crate) fn serve(listener: &TcpListener, answer: &[u8]) -> io::Result<()> {
    std::thread::scope(|scope| {
        loop {
            let (socket, _) = listener.accept()?;
            // A caller who leaves ends only its own thread.
            scope.spawn(move || drop(answer_calls(socket, answer)));
        }
    })
}

fn answer_calls(mut socket: TcpStream, answer: &[u8]) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.read_exact(&mut [0; PREFACE.len()])?;
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(answer.len()).map_err(io::Error::other)?.to_be_bytes());
    message.extend_from_slice(answer);

    let (mut inbox, mut outbox) = (vec![0; 256 * 1_024], Vec::new());
    push_settings(&mut outbox);
    push_window(&mut outbox, 0, WINDOW_BYTES);
    let (mut filled, mut received_bytes) = (0, 0);
    loop {
        socket.write_all(&outbox)?;
        outbox.clear();
        filled += match socket.read(&mut inbox[filled..])? {
            0 => return Ok(()),
            read => read,
        };
        let mut at = 0;
        while let Some(head) = Head::read(&inbox[at..filled]) {
            let end = at + HEAD_BYTES + head.length;
            if end > filled {
                break;
            }
            match head.kind {
                SETTINGS if head.flags & ACK == 0 => push_head(&mut outbox, 0, SETTINGS, ACK, 0),
                PING if head.flags & ACK == 0 => {
                    push_head(&mut outbox, head.length, PING, ACK, 0);
                    outbox.extend_from_slice(&inbox[at + HEAD_BYTES..end]);
                }
                DATA => received_bytes += u32::try_from(head.length).expect("a frame is shorter than 2^24"),
                _ => {}
            }
            if matches!(head.kind, DATA | HEADERS) && head.flags & END_STREAM != 0 {
                push_head(&mut outbox, HEAD_BLOCK.len(), HEADERS, END_HEADERS, head.stream);
                outbox.extend_from_slice(HEAD_BLOCK);
                push_data(&mut outbox, &message, head.stream, 0);
                push_head(&mut outbox, TRAILER_BLOCK.len(), HEADERS, END_HEADERS | END_STREAM, head.stream);
                outbox.extend_from_slice(TRAILER_BLOCK);
            }
            at = end;
        }
        if received_bytes > WINDOW_BYTES / 2 {
            push_window(&mut outbox, 0, std::mem::take(&mut received_bytes));
        }
        inbox.copy_within(at..filled, 0);
        filled -= at;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Bodies, Calls, Header, Kind, watch};
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn the_generator_and_the_responder_understand_each_other() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || serve(&listener, &vec![8; 50_000]));
        let told = AtomicBool::new(false);
        let calls = Calls {
            headers: vec![Header::known(4, "/a")],
            bodies: Bodies::messages_once((0..100).map(|number| number.to_string().repeat(9_000))),
            kind: Kind::Unary,
            accept: |message| message.len() == 50_000,
        };
        let cpus = crate::machine::halves().unwrap().callers;
        assert_eq!(watch(address, &calls, &told, &cpus).unwrap().count(), 100);
        told.store(true, Ordering::Relaxed);
    }
}
