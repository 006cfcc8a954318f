//! The links do to bytes what they say, and nothing else. This process stands for replica 1, and dials.

use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

/// Longer than anything takes that gets through.
const NEVER: Duration = Duration::from_millis(300);

async fn opened(weather: Weather) -> (Links, TcpStream, TcpStream) {
    let links = Links::open(weather, Random::new(7)).unwrap();
    links.belongs(1, std::process::id());
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = target.local_addr().unwrap();
    let entrance = links.admit(2, address, address).unwrap();
    let dialled = TcpStream::connect(entrance.raft).await.unwrap();
    let (accepted, _) = target.accept().await.unwrap();
    (links, dialled, accepted)
}

async fn arrives(from: &mut TcpStream, to: &mut TcpStream, word: &[u8]) -> bool {
    from.write_all(word).await.unwrap();
    heard(to, word).await
}

async fn heard(to: &mut TcpStream, word: &[u8]) -> bool {
    let mut heard = vec![0; word.len()];
    timeout(NEVER, to.read_exact(&mut heard)).await.is_ok_and(|read| read.is_ok()) && heard == word
}

#[tokio::test]
async fn a_whole_link_carries_both_ways_and_tells_the_end() {
    let (links, mut here, mut there) = opened(Weather::SITE).await;
    assert!(arrives(&mut here, &mut there, b"there").await);
    assert!(arrives(&mut there, &mut here, b"back").await);
    drop(here);
    assert_eq!(there.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(links.counts(), (0, 1));
}

#[tokio::test]
async fn a_piece_is_under_way_for_the_delay_and_the_opening_for_a_round_trip_more() {
    let weather = Weather { delay: Duration::from_millis(20), ..Weather::SITE };
    let (_links, mut here, mut there) = opened(weather).await;
    let began = Instant::now();
    assert!(arrives(&mut here, &mut there, b"first").await);
    assert!(began.elapsed() >= Duration::from_millis(40), "{:?}", began.elapsed());
    let began = Instant::now();
    assert!(arrives(&mut there, &mut here, b"second").await);
    assert!(began.elapsed() >= Duration::from_millis(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn stalled_pieces_stay_in_order() {
    let weather = Weather { stalls_once_in: 3, stall: Duration::from_millis(5), ..Weather::SITE };
    let (_links, mut here, mut there) = opened(weather).await;
    let sent: Vec<u8> = (0..=255).collect();
    for byte in &sent {
        here.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut heard = vec![0; sent.len()];
    there.read_exact(&mut heard).await.unwrap();
    assert_eq!(heard, sent);
}

#[tokio::test]
async fn a_cut_one_way_leaves_the_other_way_whole_and_closes_nothing() {
    let (links, mut here, mut there) = opened(Weather::SITE).await;
    links.cut_one_way(1, 2);
    assert!(!arrives(&mut here, &mut there, b"lost").await);
    assert!(arrives(&mut there, &mut here, b"back").await);
}

#[tokio::test]
async fn what_was_sent_into_a_cut_arrives_whole_afterwards_or_not_at_all() {
    for _ in 0..8 {
        let (links, mut here, mut there) = opened(Weather::SITE).await;
        links.cut(1, 2);
        assert!(!arrives(&mut here, &mut there, b"one").await);
        here.write_all(b"two").await.unwrap();
        links.heal();
        let mut heard = Vec::new();
        drop(timeout(NEVER, there.read_to_end(&mut heard)).await);
        assert!(heard == b"onetwo" || heard.is_empty(), "{heard:?}");
    }
}

#[tokio::test]
async fn a_new_connection_over_a_cut_link_hangs_until_it_is_whole() {
    let (links, _here, _there) = opened(Weather::SITE).await;
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = target.local_addr().unwrap();
    let entrance = links.admit(3, address, address).unwrap();
    links.cut_one_way(3, 1);
    let mut dialled = TcpStream::connect(entrance.api).await.unwrap();
    assert!(timeout(NEVER, target.accept()).await.is_err());
    links.heal();
    let (mut accepted, _) = target.accept().await.unwrap();
    assert!(arrives(&mut dialled, &mut accepted, b"at last").await);
}

#[tokio::test]
async fn whoever_is_no_replica_is_turned_away() {
    let links = Links::open(Weather::SITE, Random::new(7)).unwrap();
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = target.local_addr().unwrap();
    let entrance = links.admit(2, address, address).unwrap();
    let mut dialled = TcpStream::connect(entrance.raft).await.unwrap();
    assert_eq!(dialled.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(links.counts(), (1, 0));
}
