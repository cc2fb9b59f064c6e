//! Answers that a service should not give, from a server that says what a test tells it.

use super::support::{Home, Ran, Service, run, wait_until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, TENANT_ID};

/// A token's answer.
const TOKEN: &str = r#"{"token_type":"Bearer","expires_in":"3599","access_token":"t0ken"}"#;

/// A detection of a minute ago.
fn detection(id: &str, members: &str) -> String {
    let time = (chrono::Utc::now() - chrono::TimeDelta::minutes(1)).to_rfc3339();
    format!(r#"{{"FullId":"{id}","LastProcessedTimeUtc":"{time}"{members}}}"#)
}

fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "", body)
}

/// A login service and an API in one, until the test ends.
struct Scripted {
    port: u16,
    asked: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Answers each request for a token with `token`, and the n-th for detections, from 0,
    /// with `detections`.
    fn start(
        token: Vec<u8>,
        detections: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, requests) = (
            Arc::<AtomicUsize>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let (count, kept) = (Arc::clone(&asked), Arc::clone(&requests));
        let detections = Arc::new(detections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (token, detections) = (token.clone(), Arc::clone(&detections));
                let (count, kept) = (Arc::clone(&count), Arc::clone(&kept));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let head = request(&mut stream);
                    let said = if head.starts_with("GET") {
                        kept.lock().unwrap().push(head);
                        detections(count.fetch_add(1, Ordering::SeqCst))
                    } else {
                        token
                    };
                    let _ = stream.write_all(&said);
                });
            }
        });
        Self {
            port,
            asked,
            requests,
        }
    }

    fn serving(detections: impl Into<Vec<u8>>) -> Self {
        let said = detections.into();
        Self::start(ok(TOKEN), move |_| said.clone())
    }

    fn source(&self, name: &str) -> String {
        let url = format!("http://127.0.0.1:{}", self.port);
        format!(
            "[sources.{name}]\ntype = \"defender\"\nendpoint = \"{url}\"\nauthority = \"{url}\"\n\
             tenant_id = \"{TENANT_ID}\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\n\
             egress.allow_addresses = [\"127.0.0.0/8\"]\nscrape_interval_secs = 1\n"
        )
    }

    fn poll(&self, args: &[&str]) -> Ran {
        Home::with(&self.source("one")).run("poll", args)
    }

    /// The last request's first line.
    fn target(&self) -> String {
        let requests = self.requests.lock().unwrap();
        let line = requests.last().unwrap().lines().next().unwrap();
        line.split(' ').nth(1).unwrap().to_owned()
    }
}

/// A file for the sources `s0` to `s{count}`.
fn sink_of(count: usize) -> String {
    let inputs: Vec<String> = (0..count).map(|index| format!("s{index}")).collect();
    format!("[sinks.all]\ntype = \"file\"\ninputs = {inputs:?}\npath = \"all.ndjson\"\n")
}

/// A request's head; its body is read too.
fn request(stream: &mut TcpStream) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        all.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(read > 0, "cut short: {text}");
            continue;
        };
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        if body.len() >= length || read == 0 {
            return head.to_owned();
        }
    }
}

/// Each of these became a detection, or an empty window, and the cursor moved past what was
/// there.
#[test]
fn an_answer_that_is_no_detection_moves_no_cursor_and_shows_its_words() {
    let strange: [(&'static [u8], &str); 7] = [
        (
            br#"{"error":{"code":"InternalServerError","message":"later"}}"#,
            "InternalServerError: later",
        ),
        (b"{}", "{}"),
        (
            b"\xef\xbb\xbf {\"Message\":\"An error has occurred.\"}",
            "An error has occurred.",
        ),
        (br#"[{"error":{"code":"Gone"}}]"#, "not a detection"),
        (br#"{"value":[],"error":{"code":"Half"}}"#, "Half"),
        (br#"{"value":[],"@odata.nextLink":"https://x"}"#, "nextLink"),
        (
            b"<html><head><TITLE>Sign in to your account</TITLE>",
            "Sign in to your account",
        ),
    ];
    let well = Arc::new(AtomicBool::new(false));
    let servers: Vec<Scripted> = strange
        .iter()
        .enumerate()
        .map(|(index, &(body, _))| {
            let well = Arc::clone(&well);
            let later = ok(format!("[{}]", detection(&format!("id{index}"), "")));
            Scripted::start(ok(TOKEN), move |_| {
                if well.load(Ordering::SeqCst) {
                    later.clone()
                } else {
                    ok(body)
                }
            })
        })
        .collect();
    let mut config = "data_dir = \"data\"\nmin_free = 1\n".to_owned();
    for (index, server) in servers.iter().enumerate() {
        config += &server.source(&format!("s{index}"));
    }
    config += &sink_of(servers.len());
    let home = Home::with(&config);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("two questions to each", || {
        servers
            .iter()
            .all(|server| server.asked.load(Ordering::SeqCst) >= 2)
    });
    wait_until("its words", || {
        let said = service.stderr();
        strange.iter().all(|(_, words)| said.contains(words))
    });
    for source in home.state()["sources"].as_array().unwrap() {
        assert_eq!(source["cursor"], Value::Null, "{source}");
        assert_eq!(source["quarantined"].as_u64().unwrap_or(0), 0, "{source}");
    }
    assert_eq!(home.read("all.ndjson"), "");
    well.store(true, Ordering::SeqCst);
    wait_until("everything after all", || {
        home.read("all.ndjson").lines().count() == servers.len()
    });
    let ran = service.terminate();
    assert!(!ran.stderr.contains("0 readable, 0 not"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("retry_in_secs=0"), "{}", ran.stderr);
}

#[test]
fn a_page_is_read_as_its_list() {
    let (one, two) = (detection("a", ""), detection("b", ""));
    let page = format!(r#"{{"@odata.context":"x","value":[{one},{two}]}}"#);
    assert_eq!(
        Scripted::serving(ok(page)).poll(&[]).ok(),
        format!("{one}\n{two}\n")
    );
}

/// `poll` printed nothing when one element of many could not be read.
#[test]
fn poll_prints_what_can_be_read_and_a_line_for_each_that_cannot() {
    let (one, two) = (detection("a", ""), detection("b", ""));
    let raw = b"{\"FullId\":\"c\",\"x\":\"\x01\"}".as_slice();
    let bytes = b"{\"FullId\":\"d\",\"x\":\"\xff\"}".as_slice();
    let body = [
        b"[",
        one.as_bytes(),
        b",",
        raw,
        b",",
        bytes,
        b",null,{},",
        two.as_bytes(),
        b"]",
    ];
    let server = Scripted::serving(ok(body.concat()));
    for (output, lines) in [("ndjson", 2), ("json", 4), ("csv", 3)] {
        let ran = server.poll(&["-o", output]);
        assert_eq!(ran.code, Some(69), "{ran:?}");
        assert_eq!(ran.stdout.lines().count(), lines, "{ran:?}");
        let said: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(said.len(), 4, "{ran:?}");
        for (line, why) in said.iter().zip([
            "control character",
            "not UTF-8",
            "not an object",
            "not a detection",
        ]) {
            assert!(line.contains(why) && line.contains("bytes "), "{line}");
        }
    }
    assert_eq!(server.poll(&[]).stdout, format!("{one}\n{two}\n"));
}

/// The CSV cell was empty, and no filter passed the detection.
#[test]
fn half_a_surrogate_pair_costs_no_other_character() {
    let line = r#","CommandLine":"powershell -enc AAAA \ud800","AlertPart":1.50"#;
    let one = detection("a", line);
    let server = Scripted::serving(ok(format!("[{one},{}]", detection("b", line))));
    let home = Home::with(&format!(
        "data_dir = \"data\"\nmin_free = 1\n{}\
         [transforms.same]\ntype = \"jq\"\ninputs = [\"one\"]\nfilter = \".\"\n\
         [transforms.more]\ntype = \"jq\"\ninputs = [\"one\"]\nfilter = \".new = 1\"\n\
         [sinks.to_same]\ntype = \"file\"\ninputs = [\"same\"]\npath = \"same.ndjson\"\n\
         [sinks.to_more]\ntype = \"file\"\ninputs = [\"more\"]\npath = \"more.ndjson\"\n\
         [sinks.csv]\ntype = \"file\"\ninputs = [\"one\"]\npath = \"all.csv\"\nencoding.codec = \"csv\"\n\
         encoding.csv.fields = [\"FullId\", \"CommandLine\", \"AlertPart\"]\n",
        server.source("one")
    ));
    let ran = home.run_once();
    assert_eq!(
        ran.stderr.matches("half a surrogate pair").count(),
        1,
        "{}",
        ran.stderr
    );
    assert!(
        home.read("same.ndjson")
            .lines()
            .next()
            .unwrap()
            .ends_with(&one[1..]),
        "byte for byte"
    );
    let more = home.read("more.ndjson");
    assert_eq!(more.lines().count(), 2, "{more}");
    assert!(
        more.contains("\"powershell -enc AAAA \u{fffd}\",\"AlertPart\":1.50,\"new\":1}"),
        "{more}"
    );
    let csv = home.read("all.csv");
    assert!(
        csv.contains("a,powershell -enc AAAA \u{fffd},1.50\n"),
        "{csv}"
    );
    let polled = server.poll(&["-o", "csv"]);
    assert!(
        polled
            .stderr
            .contains("2 detections hold half a surrogate pair"),
        "{polled:?}"
    );
    assert!(polled.ok().contains("powershell -enc AAAA \u{fffd}"));
}

/// `expires_in` of 2^63 ended the process with a panic.
#[test]
fn no_number_of_a_service_ends_the_process() {
    let one = detection("a", "");
    let list = ok(format!("[{one}]"));
    for lifetime in [
        r#""expires_in":9223372036854775808"#,
        r#""expires_in":"18446744073709551615""#,
        r#""expires_in":-1"#,
        r#""expires_in":1e300,"expires_on":"9223372036854775807""#,
        r#""expires_in":"3599.5","expires_on":-5"#,
        r#""expires_on":"99999999999999999999""#,
        r#""expires_in":null,"expires_on":{}"#,
    ] {
        let token = ok(format!("\u{feff}{{\"access_token\":\"t\",{lifetime}}}"));
        let said = list.clone();
        let server = Scripted::start(token, move |_| said.clone());
        assert_eq!(server.poll(&[]).ok(), format!("{one}\n"), "{lifetime}");
    }
    for header in [
        "Date: Fri, 31 Dec 9999 23:59:59 GMT",
        "Date: Fri, 31 Dec 262142 23:59:59 GMT",
        "Date: Mon, 01 Jan 0001 00:00:00 +2359",
        "Date: Thu, 01 Jan -262143 00:00:00 GMT",
    ] {
        let said = answer("200 OK", &format!("{header}\r\n"), format!("[{one}]"));
        let server = Scripted::start(
            answer("200 OK", &format!("{header}\r\n"), TOKEN),
            move |_| said.clone(),
        );
        let home = Home::with(&format!(
            "data_dir = \"data\"\nmin_free = 1\n{}[sinks.all]\ntype = \"file\"\ninputs = [\"one\"]\npath = \"all.ndjson\"\n",
            server.source("one")
        ));
        home.run_once();
        assert_eq!(home.read("all.ndjson").lines().count(), 1, "{header}");
    }
    for header in [
        "Retry-After: 99999999999999999999999999",
        "Retry-After: -1",
        "Retry-After: 1e9",
        "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT",
        "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let server = Scripted::serving(answer(
            "429 Too Many Requests",
            &format!("{header}\r\n"),
            "",
        ));
        let words = server.poll(&[]).failed(75);
        assert!(words.contains("asked too often"), "{header}: {words}");
    }
    for length in [
        "18446744073709551615",
        "9223372036854775808",
        "99999999999999999999999",
        "-1",
        "1e3",
    ] {
        let said =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n[]");
        let ran = Scripted::serving(said).poll(&[]);
        assert!(matches!(ran.code, Some(69 | 75)), "{length}: {ran:?}");
    }
}

#[test]
fn a_refusal_shows_the_services_own_words() {
    let message = "\u{feff}{\"Message\":\"Authorization has been denied for this request.\"}";
    let challenge = "WWW-Authenticate: Bearer error=\"invalid_token\", error_description=\"The audience is wrong\"\r\n";
    for (status, headers, body, code, wanted) in [
        (
            "403 Forbidden",
            "",
            message,
            77,
            "Authorization has been denied for this request.",
        ),
        (
            "401 Unauthorized",
            challenge,
            "",
            77,
            "The audience is wrong",
        ),
        (
            "403 Forbidden",
            challenge,
            message,
            77,
            "The audience is wrong",
        ),
        (
            "302 Found",
            "Location: https://login.example/x?code=s3cret\r\n",
            "",
            69,
            "https://login.example/x",
        ),
        (
            "502 Bad Gateway",
            "",
            "<html><title> 502 - no\n backend </title>",
            75,
            "502 - no backend",
        ),
        (
            "400 Bad Request",
            "",
            r#"{"title":"Bad range","detail":"since is after until"}"#,
            69,
            "since is after until",
        ),
        (
            "407 Proxy Authentication Required",
            "",
            "",
            77,
            "user name and password",
        ),
    ] {
        let words = Scripted::serving(answer(status, headers, body))
            .poll(&[])
            .failed(code);
        assert!(words.contains(wanted), "{status}: {words}");
        assert!(!words.contains("s3cret"), "{words}");
    }
    let refused = answer(
        "400 Bad Request",
        "",
        "\u{feff}{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: wrong\",\"error_codes\":[7000215]}",
    );
    let words = Scripted::start(refused, |_| ok("[]")).poll(&[]).failed(77);
    assert!(words.contains("AADSTS7000215"), "{words}");
}

#[test]
fn durations_and_times_are_read_as_people_write_them() {
    let server = Scripted::serving(ok("[]"));
    for (ago, sent) in [
        ("PT15m", "PT15M"),
        ("10m", "PT10M"),
        ("1h30m", "PT1H30M"),
        ("2d", "P2D"),
        ("PT90M", "PT1H30M"),
    ] {
        server.poll(&["--ago", ago]).ok();
        assert_eq!(server.target(), format!("/api/alerts?ago={sent}"), "{ago}");
    }
    for wrong in ["P15M", "P15m", "P1Y", "10M", "soon", "-PT1H"] {
        let words = server.poll(&[&format!("--ago={wrong}")]).failed(64);
        assert!(words.contains("--ago"), "{wrong}: {words}");
    }
    server.poll(&["--since", "2016-09-12 00:00:00"]).ok();
    assert!(
        server
            .target()
            .contains("sinceTimeUtc=2016-09-12T00%3A00%3A00"),
        "{}",
        server.target()
    );
    let ahead = (chrono::Utc::now() + chrono::TimeDelta::days(400)).to_rfc3339();
    let ran = server.poll(&["--since", &ahead]);
    assert!(matches!(ran.code, Some(64 | 78)), "{ran:?}");
    assert!(ran.stderr.contains("future"), "{ran:?}");
}

#[test]
fn a_base_url_with_the_path_that_is_added_anyway_is_refused() {
    let server = Scripted::serving(ok("[]"));
    let url = format!("http://127.0.0.1:{}", server.port);
    for (key, path) in [
        ("endpoint", "/api/alerts"),
        ("authority", "/contoso.com/oauth2/token"),
    ] {
        let plain = format!("{key} = \"{url}\"");
        let long = format!("{key} = \"{url}{path}\"");
        let home = Home::with(&format!(
            "data_dir = \"data\"\n{}[sinks.all]\ntype = \"console\"\ninputs = [\"one\"]\n",
            server.source("one").replace(&plain, &long)
        ));
        let ran = run(&mut home.watchbell(["validate", "-c", "watchbell.toml"]));
        assert_eq!(ran.code, Some(78), "{ran:?}");
        assert!(
            ran.stderr.contains(key) && ran.stderr.contains(&format!("write {url}")),
            "{ran:?}"
        );
    }
}

/// A single 204, or one 403 followed by 200, used to wait five minutes.
#[test]
fn a_single_refusal_is_asked_again_soon() {
    let first = ["204 No Content", "403 Forbidden"];
    let servers = first.map(|status| {
        let later = ok(format!("[{}]", detection(status, "")));
        Scripted::start(ok(TOKEN), move |index| match index {
            0 => answer(status, "", ""),
            _ => later.clone(),
        })
    });
    let mut config = "data_dir = \"data\"\nmin_free = 1\n".to_owned();
    for (index, server) in servers.iter().enumerate() {
        config += &server.source(&format!("s{index}"));
    }
    config += &sink_of(servers.len());
    let home = Home::with(&config);
    let service = Service::start(&mut home.watchbell(["run", "-c", "watchbell.toml"]));
    wait_until("both", || home.read("all.ndjson").lines().count() == 2);
    let ran = service.terminate();
    let soon = |line: &&str| line.ends_with("retry_in_secs=10");
    let count = ran.stderr.lines().filter(soon).count();
    assert_eq!(count, 2, "{}", ran.stderr);
}

#[test]
fn nesting_without_end_costs_its_element_alone() {
    let deep = format!(",\"a\":{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!("[{},{}]", detection("a", ""), detection("b", &deep));
    let server = Scripted::serving(ok(body));
    let ran = server.poll(&[]);
    assert_eq!(
        (ran.code, ran.stdout.lines().count()),
        (Some(69), 1),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("nested more than 128 deep"), "{ran:?}");
    let bare = Scripted::serving(ok(format!("{{\"a\":{}", "[".repeat(100_000))));
    bare.poll(&[]).failed(69);
}
