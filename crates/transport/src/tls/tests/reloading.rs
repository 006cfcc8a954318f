//! New files while calls go on, and files that cannot be used.

use super::*;

/// Takes up what lies in the files now.
async fn reload(place: &Place, seen: watch::Seen, current: &Current) -> watch::Seen {
    watch::look(&Arc::new(place.files.clone()), seen, current).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_many_times_under_load_and_no_call_fails() {
    const ROUNDS: usize = 50;
    let root = Authority::new();
    let place = Place::new(&root.issue_to("replica/1"), &root.pem());
    let (material, mut seen) = watch::read(&place.files).unwrap();
    let current: Current = Arc::new(ArcSwap::from_pointee(material));
    let server = serve(&current, Peer::AnyReplica).await;
    let dialer = Dialer::tls(TlsClient::new(current.clone()));
    let address = server.address.to_string();

    let (done, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..4 {
        let (dialer, address, done, calls) = (dialer.clone(), address.clone(), done.clone(), calls.clone());
        callers.spawn(async move {
            let mut channel = dialer.channel(&address, Peer::Replica(NodeId(1)));
            while !done.load(Ordering::Relaxed) {
                if caller % 2 == 0 {
                    // A handshake for each call.
                    channel = dialer.channel(&address, Peer::Replica(NodeId(1)));
                }
                assert_eq!(ask(channel.clone()).await.unwrap(), Code::AlreadyExists);
                calls.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for round in 1..=ROUNDS {
        let before = current.load_full();
        place.put(&root.issue_to("replica/1"), &root.pem());
        seen = reload(&place, seen, &current).await;
        assert!(!Arc::ptr_eq(&before, &current.load_full()), "round {round} was taken up");
        let seen = calls.load(Ordering::Relaxed);
        while calls.load(Ordering::Relaxed) < seen + 4 && !callers.is_empty() {
            tokio::task::yield_now().await;
            if let Some(ended) = callers.try_join_next() {
                ended.unwrap();
            }
        }
    }
    done.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.unwrap();
    }
    println!("{ROUNDS} replacements under {} calls, 0 failures", calls.load(Ordering::Relaxed));
    server.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_and_say_why() {
    let root = Authority::new();
    let good = root.issue_to("replica/1");
    let mut place = Place::new(&good, &root.pem());
    place.files.workload = Some(Workload::Replica(NodeId(1)));
    let (material, mut seen) = watch::read(&place.files).unwrap();
    let current: Current = Arc::new(ArcSwap::from_pointee(material));
    let before = current.load_full();

    let mut refused = Vec::new();
    for (certificate, key, trust) in [
        ("no PEM", good.key.as_str(), root.pem()),
        (&good.certificate, &root.issue_to("replica/1").key, root.pem()),
        (&root.issue_to("replica/2").certificate, &good.key, root.pem()),
        (&root.issue(&["spiffe://latchkey.example/replica/1"], -3, -1).certificate, &good.key, root.pem()),
        (&good.certificate, &good.key, String::new()),
    ] {
        let issued = Issued { certificate: certificate.to_owned(), key: key.to_owned() };
        place.put(&issued, &trust);
        seen = reload(&place, seen, &current).await;
        assert!(Arc::ptr_eq(&before, &current.load_full()), "the old ones go on");
        refused.push(watch::read(&place.files).unwrap_err().to_string());
    }
    for (told, expected) in refused.iter().zip([
        "holds no certificate as PEM",
        "is not that of the certificate in",
        "is that of replica/2, expected that of replica/1",
        "issue another: latchkey pki renew",
        "holds no certificate as PEM",
    ]) {
        assert!(told.contains(expected), "{told}");
    }
    place.put(&root.issue_to("replica/1"), &root.pem());
    reload(&place, seen, &current).await;
    assert!(!Arc::ptr_eq(&before, &current.load_full()), "what can be used is taken up again");
}

#[tokio::test]
async fn files_that_could_not_be_used_are_taken_up_as_soon_as_they_can() {
    let root = Authority::new();
    let place = Place::new(&root.issue_to("replica/1"), &root.pem());
    let (material, seen) = watch::read(&place.files).unwrap();
    let current: Current = Arc::new(ArcSwap::from_pointee(material));
    let before = current.load_full();
    place.put(&root.issue_to("replica/1"), &root.pem());
    fs::set_permissions(&place.files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let seen = reload(&place, seen, &current).await;
    assert!(Arc::ptr_eq(&before, &current.load_full()), "others may read the key");
    // As the refusal says: the file stays the same, and its mode is another.
    fs::set_permissions(&place.files.key, fs::Permissions::from_mode(0o600)).unwrap();
    reload(&place, seen, &current).await;
    assert!(!Arc::ptr_eq(&before, &current.load_full()), "it is taken up");
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused_with_its_mode() {
    let root = Authority::new();
    let place = Place::new(&root.issue_to("audit"), &root.pem());
    fs::set_permissions(&place.files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = watch::read(&place.files).unwrap_err().to_string();
    assert!(told.contains("0644") && told.contains("chmod 600"), "{told}");
}

#[tokio::test]
async fn the_files_are_watched_for_as_long_as_anybody_needs_them() {
    let root = Authority::new();
    let place = Place::new(&root.issue_to("audit"), &root.pem());
    let tls = Tls::open(place.files.clone()).unwrap();
    let before = tls.current.load_full();
    place.put(&root.issue_to("audit"), &root.pem());
    let taken_up = async {
        while Arc::ptr_eq(&before, &tls.current.load_full()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), taken_up).await.expect("the files are looked at each second");
    let watched = Arc::downgrade(&tls.current);
    drop((tls, before));
    assert!(watched.upgrade().is_none(), "the watcher holds nothing");
}
