//! Names that lead here, there and nowhere, asked for through the client as a guest would.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::dial::{ConnectionQuota, Lookup, Resolver, Tls};
use crate::egress::Egress;
use crate::http::{Asked, Bounds, Client};
use crate::policy::{Denied, HostPattern, Policy};

/// A server that says its name, closing each connection.
async fn server(address: &str, says: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\nserver: {says}\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, accepted)
}

/// A client that may reach names below `example` at that port where they are 127.0.0.1,
/// and names as `lookup` has them.
fn client(port: u16, lookup: Arc<Lookup>) -> Client {
    let hosts: [HostPattern; 1] = [format!("*.example:{port}").parse().unwrap()];
    let policy = Policy::new(hosts, ["127.0.0.1/32".parse().unwrap()]);
    Egress::with(1000, Resolver::by(lookup))
        .client(policy, &Tls::default())
        .unwrap()
}

/// Asks for a name; who answered.
async fn ask(client: &Client, name: &str, port: u16) -> Result<String, Error> {
    let request = Request::get(format!("http://{name}:{port}/"))
        .body(Empty::<Bytes>::new())
        .unwrap();
    let session = client.session(Bounds::default());
    let answer = session.send(request, Asked::default()).await?;
    Ok(answer.headers()["server"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_is_judged_again() {
    let (good, _) = server("127.0.0.1:0", "good").await;
    // The same port on an address that is not opened.
    let (bad, dialled) = server(&format!("127.0.0.2:{}", good.port()), "bad").await;
    let asked = AtomicUsize::new(0);
    let client = client(
        good.port(),
        Arc::new(move |_, _| {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            Ok(vec![if first { good } else { bad }])
        }),
    );
    assert_eq!(
        ask(&client, "a.example", good.port()).await.unwrap(),
        "good"
    );
    let error = ask(&client, "a.example", good.port()).await.unwrap_err();
    assert!(
        matches!(error, Error::Denied(Denied::Address { .. })),
        "{error:?}"
    );
    assert_eq!(dialled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_a_name_with_good_and_bad_addresses_only_the_good_are_dialled() {
    let (good, _) = server("127.0.0.1:0", "good").await;
    let (bad, dialled) = server(&format!("127.0.0.2:{}", good.port()), "bad").await;
    let client = client(good.port(), Arc::new(move |_, _| Ok(vec![bad, good])));
    assert_eq!(
        ask(&client, "a.example", good.port()).await.unwrap(),
        "good"
    );
    assert_eq!(dialled.load(Ordering::SeqCst), 0);
}

/// Which names are being looked up and how often, and whether they may end.
type Lookups = (Mutex<(HashMap<String, usize>, bool)>, Condvar);

/// Ends all lookups, without which the runtime does not end either.
struct Ended(Arc<Lookups>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = true;
        self.0.1.notify_all();
    }
}

#[tokio::test]
async fn who_has_names_that_never_resolve_holds_one_thread_and_stops_nobody_else() {
    let (good, _) = server("127.0.0.1:0", "good").await;
    let state = Arc::new(Lookups::default());
    let _end = Ended(Arc::clone(&state));
    let held = Arc::clone(&state);
    let client = client(
        good.port(),
        Arc::new(move |name: &str, _| {
            if name.starts_with("good") {
                return Ok(vec![good]);
            }
            let (looking, ended) = &*held;
            let mut looking_up = looking.lock().unwrap();
            *looking_up.0.entry(name.to_owned()).or_insert(0) += 1;
            let _over = ended.wait_while(looking_up, |(_, over)| !*over).unwrap();
            Err(io::Error::other("nobody answers"))
        }),
    );
    // Each with ten requests, for one name.
    let _dead: Vec<_> = (0..150)
        .map(|party| {
            let client = client.clone().with_quota(&ConnectionQuota::new(10));
            let mut asks = JoinSet::new();
            for _ in 0..10 {
                let client = client.clone();
                let name = format!("dead{party}.example");
                asks.spawn(async move { ask(&client, &name, good.port()).await.is_err() });
            }
            asks
        })
        .collect();
    let begun = Instant::now();
    while state.0.lock().unwrap().0.len() < 150 {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        ask(&client, "good.example", good.port()).await.unwrap(),
        "good"
    );
    assert!(
        state
            .0
            .lock()
            .unwrap()
            .0
            .values()
            .all(|lookups| *lookups == 1)
    );
}
