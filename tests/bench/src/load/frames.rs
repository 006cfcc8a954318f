//! As much of HTTP/2 and HPACK as a caller needs who always asks the same. Source: RFC 9113 and RFC 7541.

/// What a client says first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 9;

/// Types of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

/// Flags of frames. An acknowledgement and the end of a stream are the same bit, on different frames.
pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// What a peer takes on each stream before it says that more may come, as one of its settings.
pub(super) const INITIAL_WINDOW: u16 = 4;

/// How much we take before we say that more may come.
pub(super) const WINDOW_BYTES: u32 = 1 << 30;

/// The longest frame that each peer takes without having said so.
pub(super) const FRAME_BYTES: usize = 16_384;

/// `:method: POST` and `:scheme: http` of the static table.
const POST: u8 = 0x83;
const HTTP: u8 = 0x86;

/// The first number of the dynamic table: the header that was added last.
const DYNAMIC: usize = 62;

/// A header with its name: spelled out, or as a number of the static table.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// The name.
    pub(crate) name: Name,
    /// The value, of at most 126 bytes.
    pub(crate) value: String,
}

/// The name of a header.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Name {
    /// A number of the static table, below 63.
    Known(u8),
    /// Spelled out, at most 126 bytes.
    Spelled(&'static str),
}

impl Header {
    /// With a name of the static table, such as 4 for `:path`.
    pub(crate) fn known(number: u8, value: impl Into<String>) -> Self {
        Self { name: Name::Known(number), value: value.into() }
    }

    /// With a name that the static table has not.
    pub(crate) fn spelled(name: &'static str, value: impl Into<String>) -> Self {
        Self { name: Name::Spelled(name), value: value.into() }
    }
}

/// The headers of the first call on a connection: each is added to the table of the server, as clients do.
pub(super) fn first_block(headers: &[Header]) -> Vec<u8> {
    let mut block = vec![POST, HTTP];
    for header in headers {
        match header.name {
            Name::Known(number) => block.push(0x40 | number),
            Name::Spelled(name) => {
                block.push(0x40);
                push_text(&mut block, name);
            }
        }
        push_text(&mut block, &header.value);
    }
    block
}

/// The headers of every later call: numbers of that table.
pub(super) fn later_block(headers: &[Header]) -> Vec<u8> {
    let added = (0..headers.len()).rev().map(|behind| 0x80 | byte(DYNAMIC + behind));
    [POST, HTTP].into_iter().chain(added).collect()
}

fn push_text(block: &mut Vec<u8>, text: &str) {
    block.push(byte(text.len()));
    block.extend_from_slice(text.as_bytes());
}

/// A length or a number that fits seven bits without continuation.
fn byte(value: usize) -> u8 {
    u8::try_from(value).ok().filter(|byte| *byte < 127).expect("headers are few and short")
}

/// Appends the head of a frame.
pub(super) fn push_head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let length = u32::try_from(length).expect("frames are short");
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a message in as many frames as it needs; the last one has `flags`.
pub(super) fn push_data(out: &mut Vec<u8>, message: &[u8], stream: u32, flags: u8) {
    let mut chunks = message.chunks(FRAME_BYTES).peekable();
    while let Some(chunk) = chunks.next() {
        push_head(out, chunk.len(), DATA, if chunks.peek().is_none() { flags } else { 0 }, stream);
        out.extend_from_slice(chunk);
    }
}

/// Appends our settings: windows so wide that nobody waits for them.
pub(super) fn push_settings(out: &mut Vec<u8>) {
    push_head(out, 6, SETTINGS, 0, 0);
    out.extend_from_slice(&INITIAL_WINDOW.to_be_bytes());
    out.extend_from_slice(&WINDOW_BYTES.to_be_bytes());
}

/// Appends that `bytes` more may come, on a stream or with 0 on the connection.
pub(super) fn push_window(out: &mut Vec<u8>, stream: u32, bytes: u32) {
    push_head(out, 4, WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&bytes.to_be_bytes());
}

/// The settings in a frame of them.
pub(super) fn settings(content: &[u8]) -> impl Iterator<Item = (u16, u32)> {
    content.as_chunks().0.iter().map(|[a, b, c, d, e, f]| {
        let setting = u16::from_be_bytes([*a, *b]);
        (setting, u32::from_be_bytes([*c, *d, *e, *f]))
    })
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    /// Reads the head at the beginning of `bytes`; `None` while there is too little.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk::<HEAD_BYTES>()?;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Some(Self { length, kind, flags, stream: u32::from_be_bytes([s0 & 0x7F, s1, s2, s3]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_call_names_headers_by_the_order_in_which_they_were_added() {
        let headers = [Header::known(4, "/a"), Header::spelled("te", "trailers")];
        assert_eq!(first_block(&headers), b"\x83\x86\x44\x02/a\x40\x02te\x08trailers");
        assert_eq!(later_block(&headers), [0x83, 0x86, 0x80 | 63, 0x80 | 62]);
    }

    #[test]
    fn a_long_message_takes_several_frames_and_the_last_one_ends_it() {
        let mut out = Vec::new();
        push_data(&mut out, &vec![7; FRAME_BYTES + 1], 3, END_STREAM);
        let second = HEAD_BYTES + FRAME_BYTES;
        assert_eq!(Head::read(&out), Some(Head { length: FRAME_BYTES, kind: DATA, flags: 0, stream: 3 }));
        assert_eq!(Head::read(&out[second..]), Some(Head { length: 1, kind: DATA, flags: END_STREAM, stream: 3 }));
    }

    #[test]
    fn our_settings_are_read_as_they_are_written() {
        let mut out = Vec::new();
        push_settings(&mut out);
        assert_eq!(settings(&out[HEAD_BYTES..]).collect::<Vec<_>>(), [(INITIAL_WINDOW, WINDOW_BYTES)]);
    }

    #[test]
    fn a_head_is_read_as_it_is_written_and_half_a_head_is_none() {
        let mut out = Vec::new();
        push_head(&mut out, 70_000, DATA, END_STREAM, 7);
        assert_eq!(Head::read(&out), Some(Head { length: 70_000, kind: DATA, flags: END_STREAM, stream: 7 }));
        assert_eq!(Head::read(&out[..8]), None);
    }
}
