//! What a name's addresses come to, with the resolver's answer given.

use std::io::ErrorKind;

use tokio::net::TcpListener;

use super::*;
use crate::policy::address::Class;

fn target(url: &str) -> Target {
    Target::parse(&url.parse().unwrap()).unwrap()
}

fn addresses(all: &[&str]) -> Vec<SocketAddr> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn of_good_and_bad_addresses_only_the_good_are_left_in_their_order() {
    let found = addresses(&[
        "10.0.0.1:443",
        "20.190.128.1:443",
        "[::ffff:169.254.169.254]:443",
        "[2603:1030::1]:443",
        "127.0.0.1:443",
    ]);
    let shut = Policy::new([], []);
    let good = judged(&shut, &target("https://a.example"), found.clone()).unwrap();
    assert_eq!(good, addresses(&["20.190.128.1:443", "[2603:1030::1]:443"]));

    let opened = Policy::new([], ["127.0.0.0/8".parse().unwrap()]);
    let good = judged(&opened, &target("http://a.example"), found).unwrap();
    assert_eq!(good, addresses(&["127.0.0.1:443"]));
}

#[test]
fn a_name_with_only_bad_addresses_is_denied_for_the_first() {
    let found = addresses(&["192.168.1.1:443", "[::1]:443"]);
    match judged(&Policy::new([], []), &target("https://a.example"), found).unwrap_err() {
        Denied::Address { host, refused } => {
            assert_eq!(host, "a.example");
            assert_eq!(refused.class, Class::Private);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses_and_the_last_error_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = free.local_addr().unwrap();
    drop(free);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listening = listener.local_addr().unwrap();
    let target = target("https://a.example");
    let limit = Duration::from_secs(30);

    let (_, remote) = connect_to_any(&target.host, &[refusing, listening], limit)
        .await
        .unwrap();
    assert_eq!(remote, listening);
    match connect_to_any(&target.host, &[refusing, refusing], limit)
        .await
        .unwrap_err()
    {
        Error::Connect { address, kind, .. } => {
            assert_eq!((address, kind), (refusing, ErrorKind::ConnectionRefused));
        }
        other => panic!("{other:?}"),
    }
}
