//! Sources, which have the network.

use crate::field::{Field, elsewhere, on_host};
use crate::heard;
use std::time::Duration;
use watchbell::sources::{PollError, Window};
use watchbell_egress::Tls;
use watchbell_sandbox::Limits;
use watchbell_sandbox::contract::{Config, Credentials, Error};
use watchbell_tests::server::{Server, Step};
use watchbell_tests::{SOURCE, config, host, limits, poll, session};

include!("../../guests/hostile-source/attacks.rs");

macro_rules! suite {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                on_host(async { contained::$name(Field::new().await).await });
            }
        )*
    };
}

attacks!(suite);

/// Attacks through a source, with settings; the error's words, or how many alerts.
async fn attack(field: &Field, name: &str, url: &str, settings: &str) -> Result<usize, PollError> {
    let attacker = field.attacker(name, url, settings);
    let poll = move || {
        let attacker = attacker.clone();
        async move { attacker.poll(&Window::Ago("PT1M".to_owned())).await }
    };
    let polled = field.withstand(name, poll).await;
    polled.map(|pulled| pulled.len())
}

/// The same against the service that the other tenant asks.
async fn told(field: &Field, name: &str, settings: &str) -> String {
    let outcome = attack(field, name, &field.url(), settings).await;
    outcome.unwrap_err().to_string()
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// How long a server waits before it hangs up.
const HELD: Duration = Duration::from_millis(200);
/// No attack: an honest source waits for a service that is slow, and uses no CPU for it.
#[tokio::test]
async fn what_a_source_waits_for_is_not_its_cpu_time() {
    let mut steps = vec![Step::Say(
        b"HTTP/1.1 200 OK\r\ncontent-length: 42\r\n\r\n[".to_vec(),
    )];
    for _ in 0..40 {
        steps.extend([
            Step::Wait(Duration::from_millis(30)),
            Step::Say(b" ".to_vec()),
        ]);
    }
    steps.push(Step::Say(b"]".to_vec()));
    let server = Server::start(steps).await;
    let config = Config {
        credentials: Credentials::Host,
        ..config(&server.url(), "http://127.0.0.1:1")
    };
    let limits = Limits {
        cpu: Duration::from_millis(200),
        ..limits()
    };
    let session = session(&[host(&server.url())], &Tls::default());
    let answer = SOURCE.poll(&config, session, None, &limits).await;
    assert_eq!(answer.unwrap().unwrap().len(), 0);
}

/// Nothing here decodes, so what would grow is refused by its name.
#[tokio::test]
async fn a_compressed_answer_is_refused_whatever_it_would_become() {
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10000\r\n\r\n";
    let mut bomb = head.as_bytes().to_vec();
    bomb.extend(b"\x1f\x8b\x08\0\0\0\0\0\0\x03");
    bomb.resize(head.len() + 10_000, 0);
    let server = Server::start(vec![Step::Say(bomb)]).await;
    let config = Config {
        credentials: Credentials::Host,
        ..config(&server.url(), "http://127.0.0.1:1")
    };
    let error = poll(&config).await.unwrap_err();
    assert!(
        matches!(&error, Error::Other(words) if words.contains("compressed")),
        "{error:?}"
    );
}

/// What contains each attack.
mod contained {
    use super::*;

    pub(super) async fn endless_loop(field: Field) {
        let text = told(&field, "endless_loop", "limits.max_cpu_secs = 0.3").await;
        says(&text, &["CPU time: 300ms (limits.max_cpu_secs)"]);
    }

    pub(super) async fn endless_recursion(field: Field) {
        let text = told(&field, "endless_recursion", "").await;
        says(&text, &["limit on stack: 1 MiB"]);
    }

    pub(super) async fn memory_growth(field: Field) {
        let text = told(
            &field,
            "memory_growth",
            "limits.max_memory_bytes = \"64 MiB\"",
        )
        .await;
        says(&text, &["memory: 67108864 bytes (limits.max_memory_bytes)"]);
    }

    pub(super) async fn handle_leak(field: Field) {
        let text = told(&field, "handle_leak", "").await;
        says(&text, &["handles: 128 (limits.max_handles)"]);
    }

    pub(super) async fn huge_result(field: Field) {
        let text = told(&field, "huge_result", "limits.max_output_bytes = \"1 MiB\"").await;
        says(&text, &["1048576 bytes (limits.max_output_bytes)"]);
    }

    pub(super) async fn many_results(field: Field) {
        let text = told(&field, "many_results", "limits.max_output_count = 1000").await;
        says(&text, &["in one result: 1000 (limits.max_output_count)"]);
    }

    pub(super) async fn huge_error(field: Field) {
        let settings =
            |bytes| format!("options.bytes = \"{bytes}\"\nlimits.max_output_bytes = \"1 MiB\"");
        let text = told(&field, "huge_error", &settings(8 << 20)).await;
        says(&text, &["1048576 bytes (limits.max_output_bytes)"]);
        let text = told(&field, "huge_error", &settings(1 << 19)).await;
        assert!(
            text.starts_with("xxx") && text.len() < 2000,
            "{}",
            text.len()
        );
    }

    pub(super) async fn panic(field: Field) {
        let text = told(&field, "panic", "").await;
        says(&text, &["the plugin trapped"]);
    }

    pub(super) async fn trap_in_a_request(field: Field) {
        let server = elsewhere(Server::start(vec![Step::Wait(HELD)])).await;
        let outcome = attack(&field, "trap_in_a_request", &server.url(), "").await;
        says(&outcome.unwrap_err().to_string(), &["the plugin trapped"]);
    }

    pub(super) async fn request_held_open(field: Field) {
        let server = elsewhere(Server::start(vec![Step::Wait(Duration::from_secs(600))])).await;
        let settings = "limits.max_wall_secs = 0.3\nlimits.max_cpu_secs = 0.2";
        let outcome = attack(&field, "request_held_open", &server.url(), settings).await;
        says(
            &outcome.unwrap_err().to_string(),
            &["wall time: 500ms (limits.max_wall_secs)"],
        );
    }

    pub(super) async fn body_never_read(field: Field) {
        let some = Step::SayForEver(vec![b'x'; 1 << 16]);
        let head = Step::Say(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec());
        let server = elsewhere(Server::start(vec![head, some])).await;
        let outcome = attack(&field, "body_never_read", &server.url(), "").await;
        says(&outcome.unwrap_err().to_string(), &["not read"]);
        // What was in buffers when the instance was dropped is all that ever came.
        let closed = async {
            let mut sent = None;
            while sent != Some(server.sent()) {
                sent = Some(server.sent());
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(30), closed).await;
        assert!(closed.is_ok(), "the connections were closed");
    }

    pub(super) async fn thousands_of_requests(field: Field) {
        // Not the other tenant's service, which would be the one that suffers.
        let server = elsewhere(Server::start(vec![Step::Wait(HELD)])).await;
        let outcome = attack(&field, "thousands_of_requests", &server.url(), "").await;
        let text = outcome.unwrap_err().to_string();
        says(&text, &["handles: 128 (limits.max_handles)"]);
        let server = elsewhere(Server::start(vec![Step::Wait(HELD)])).await;
        let settings = "limits.max_handles = 100000\nlimits.max_connections = 5";
        let outcome = attack(&field, "thousands_of_requests", &server.url(), settings).await;
        let text = outcome.unwrap_err().to_string();
        says(&text, &["refused: 3000"]);
        // Five at a time, each for as long as the server waits.
        let most = 5 * (1 + field.attacked().as_millis() / HELD.as_millis());
        let requests = server.requests().len();
        assert!(requests as u128 <= most, "{requests} of {most}");
    }

    pub(super) async fn forged_headers(field: Field) {
        let text = told(&field, "forged_headers", "").await;
        assert_eq!(text, "taken: []");
    }

    pub(super) async fn header_and_url_injection(field: Field) {
        let text = told(&field, "header_and_url_injection", "").await;
        assert_eq!(text, "taken: []");
    }

    pub(super) async fn wrong_content_length(field: Field) {
        let server = elsewhere(Server::answering("200 OK", "", "[]")).await;
        let outcome = attack(&field, "wrong_content_length", &server.url(), "").await;
        says(&outcome.unwrap_err().to_string(), &["finished: false"]);
        for request in server.requests() {
            assert!(!request.contains("smuggled"), "{request}");
        }
    }

    pub(super) async fn forbidden_addresses(field: Field) {
        // Each as the guest asks for it, from under a policy for another host …
        let urls = LITERALS
            .iter()
            .chain(&NAMES)
            .map(|host| format!("https://{host}/"));
        let odd = [
            "http://127.0.0.1/",
            "ftp://127.0.0.1/",
            "https://127.0.0.1:0/",
        ];
        let urls: Vec<String> = urls.chain(odd.map(str::to_owned)).collect();
        let settings = format!("options.urls = \"{}\"", urls.join(" "));
        let text = told(&field, "forbidden_addresses", &settings).await;
        says(&text, &["not denied: []"]);
        // … and each as the operator's own endpoint, where the address is what counts.
        for host in LITERALS {
            let url = format!("https://{host}");
            let settings =
                format!("options.urls = \"{url}/api/alerts\"\negress.allow_addresses = []");
            let attacker = field.attacker("forbidden_addresses", &url, &settings);
            let polled = attacker.poll(&Window::Ago("PT1M".to_owned())).await;
            let text = polled.unwrap_err().to_string();
            assert!(text.starts_with("not denied: []"), "{host}: {text}");
        }
    }

    pub(super) async fn state_between_calls(field: Field) {
        let text = told(&field, "state_between_calls", "").await;
        assert_eq!(text, "call 1");
    }

    pub(super) async fn second_line(field: Field) {
        let text = told(&field, "second_line", "").await;
        says(&text, &["broke the contract", "not one object on one line"]);
    }

    pub(super) async fn other_tenant(field: Field) {
        let text = told(&field, "other_tenant", "").await;
        says(&text, &["broke the contract", "tenant"]);
    }

    pub(super) async fn terminal_escapes(field: Field) {
        let text = told(&field, "terminal_escapes", "").await;
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
        says(&text, &["\\u{1b}]0;owned", "\\r\\n2026"]);
    }

    pub(super) async fn stored_in_the_host(field: Field) {
        // A large result is allowed, which is nothing to a host call.
        let settings =
            |bytes| format!("options.bytes = \"{bytes}\"\nlimits.max_output_bytes = \"64 MiB\"");
        let text = told(&field, "stored_in_the_host", &settings(8 << 20)).await;
        says(
            &text,
            &["one host call: 65536 bytes (limits.max_host_call_bytes)"],
        );
        let text = told(&field, "stored_in_the_host", &settings(60_000)).await;
        says(&text, &["handles: 128 (limits.max_handles)"]);
    }

    pub(super) async fn headers_without_end(field: Field) {
        let text = told(&field, "headers_without_end", "").await;
        says(&text, &["headers: 65536 bytes (limits.max_header_bytes)"]);
    }

    pub(super) async fn bodies_never_sent(field: Field) {
        let text = told(&field, "bodies_never_sent", "").await;
        assert_eq!(text, "held: 32768");
    }

    pub(super) async fn requests_never_ended(field: Field) {
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]";
        let held = Step::Wait(Duration::from_secs(600));
        let server = Server::start(vec![Step::Say(answer.to_vec()), held]).await;
        let settings = "limits.max_handles = 1000";
        let attacker = field.attacker("requests_never_ended", &server.url(), settings);
        let poll = {
            let attacker = attacker.clone();
            move || {
                let attacker = attacker.clone();
                async move { attacker.poll(&Window::Ago("PT1M".to_owned())).await }
            }
        };
        let attacked = field.withstand("requests_never_ended", poll).await;
        says(&attacked.unwrap_err().to_string(), &["answered: "]);
        // Those above shared the tenant's places, and took what others gave back. One alone
        // gets all of them, once they are back, and no more.
        let all = "answered: 8 (more than 8 requests at one time)";
        let back = async {
            loop {
                let polled = attacker.poll(&Window::Ago("PT1M".to_owned())).await;
                if polled.unwrap_err().to_string().contains(all) {
                    return;
                }
                tokio::time::sleep(HELD).await;
            }
        };
        let back = tokio::time::timeout(Duration::from_secs(30), back).await;
        assert!(back.is_ok(), "eight places did not come back");
    }

    pub(super) async fn overlapping_ranges(field: Field) {
        let text = told(&field, "overlapping_ranges", "").await;
        says(&text, &["broke the contract", "unreadable range 1: 0 to 1"]);
    }

    pub(super) async fn other_tenant_in_part(field: Field) {
        let text = told(&field, "other_tenant_in_part", "").await;
        says(&text, &["broke the contract", "member tenant"]);
    }

    pub(super) async fn denied_in_silence(field: Field) {
        let attacked = attack(&field, "denied_in_silence", &field.url(), "").await;
        assert_eq!(attacked.unwrap(), 0);
        let _listening = heard::listen();
        let attacker = field.attacker("denied_in_silence", &field.url(), "");
        for _ in 0..2 {
            let polled = attacker.poll(&Window::Ago("PT1M".to_owned())).await;
            assert_eq!(polled.unwrap().len(), 0);
        }
        let lines = heard::lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        says(
            &lines.concat(),
            &["http://127.0.0.1:1/api/alerts: denied", "3 such"],
        );
    }
}

/// Every kind of address that nobody should reach, in one spelling or more.
const LITERALS: [&str; 46] = [
    "127.0.0.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[100::1]",
    "[2001::1]",
    "[2001:1::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[3fff::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[4000::1]",
    "169.254.170.2",
    "[fd00:ec2::23]",
];

/// Names that lead there, or are written so that some would read them as others do not.
const NAMES: [&str; 8] = [
    "localhost",
    "metadata.google.internal",
    "instance-data",
    "metadata",
    "127.0.0.1.",
    "１２７.0.0.1",
    "%31%32%37.0.0.1",
    "[fe80::1%25eth0]",
];
