//! A server that answers as it is told, and what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A call as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: String,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self { address, answers: Arc::default(), asked: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.serve(stream).await;
            }
        });
        server
    }

    /// The next answer; 200 where none is left.
    pub(crate) fn answers(&self, status: u16, body: &str) {
        self.answers.lock().unwrap().push_back((status, body.to_owned()));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    async fn serve(&self, mut stream: TcpStream) {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 4_096]);
        let asked = loop {
            let read = stream.read(&mut chunk).await.unwrap();
            if read == 0 {
                return;
            }
            bytes.extend_from_slice(&chunk[..read]);
            let Some(at) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
            let asked =
                Asked { head: String::from_utf8(bytes[..at].to_vec()).unwrap(), body: bytes[at + 4..].to_vec() };
            let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
            if asked.body.len() >= length {
                break asked;
            }
        };
        self.asked.lock().unwrap().push(asked);
        let (status, body) = self.answers.lock().unwrap().pop_front().unwrap_or((200, "{\"errors\":false}".to_owned()));
        let head = format!("HTTP/1.1 {status} Told\r\nretry-after: 7\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
    }
}
