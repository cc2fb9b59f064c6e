//! The attacks. What a test should know of one is its error's text.

#![allow(
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    clippy::panic,
    clippy::infinite_loop,
    reason = "attacks have one shape, and what goes wrong in one is meant to"
)]

use crate::bindings::exports::watchbell::detections::source::{
    ByteRange, Config, Error, Malformed, Stage,
};
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
};
use crate::bindings::watchbell::detections::types::Alert;
use crate::{alert, option};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

type Answer = Result<Vec<Alert>, Error>;

fn say(words: impl Into<String>) -> Answer {
    Err(Error::Other(words.into()))
}

pub(crate) fn endless_loop(_: &Config) -> Answer {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

pub(crate) fn endless_recursion(_: &Config) -> Answer {
    fn deeper(depth: u64) -> u64 {
        // Never, but the compiler cannot know.
        if depth == black_box(u64::MAX) {
            return 0;
        }
        black_box(deeper(black_box(depth + 1)) + 1)
    }
    say(deeper(0).to_string())
}

pub(crate) fn memory_growth(_: &Config) -> Answer {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

pub(crate) fn handle_leak(_: &Config) -> Answer {
    loop {
        std::mem::forget(Fields::new());
    }
}

pub(crate) fn huge_result(_: &Config) -> Answer {
    Ok(vec![alert(format!(
        "{{\"x\":\"{}\"}}",
        "x".repeat(8 << 20)
    ))])
}

pub(crate) fn many_results(_: &Config) -> Answer {
    Ok((0..5000).map(|_| alert("{}".to_owned())).collect())
}

pub(crate) fn huge_error(config: &Config) -> Answer {
    let bytes = option(config, "bytes").parse().unwrap();
    say("x".repeat(bytes))
}

pub(crate) fn panic(_: &Config) -> Answer {
    panic!("as it is meant to");
}

pub(crate) fn trap_in_a_request(config: &Config) -> Answer {
    let _under_way = begin(config);
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    say("not here")
}

pub(crate) fn request_held_open(config: &Config) -> Answer {
    loop {
        let _ = wait(&begin(config));
    }
}

pub(crate) fn body_never_read(config: &Config) -> Answer {
    let answer = wait(&begin(config)).map_err(Error::Other)?;
    let body = answer.consume().unwrap();
    let stream = body.stream().unwrap();
    std::mem::forget((answer, body, stream));
    say("not read")
}

pub(crate) fn thousands_of_requests(config: &Config) -> Answer {
    let all: Vec<_> = (0..3000).map(|_| begin(config)).collect();
    let refused = all.iter().filter(|one| wait(one).is_err()).count();
    say(format!("refused: {refused}"))
}

pub(crate) fn forged_headers(_: &Config) -> Answer {
    let names = [
        "Authorization",
        "authorization",
        "Host",
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Accept-Encoding",
        "Cookie",
        "Forwarded",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-FORWARDED-PROTO",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Anything",
        "HTTP2-Settings",
    ];
    let mut taken = Vec::new();
    for name in names {
        let value = b"forged".to_vec();
        let fields = Fields::new();
        if fields.append(name, &value).is_ok() {
            taken.push(format!("append {name}"));
        }
        if fields.set(name, std::slice::from_ref(&value)).is_ok() {
            taken.push(format!("set {name}"));
        }
        if Fields::from_list(&[(name.to_owned(), value)]).is_ok() {
            taken.push(format!("from-list {name}"));
        }
    }
    say(format!("taken: [{}]", taken.join(", ")))
}

pub(crate) fn header_and_url_injection(_: &Config) -> Answer {
    let mut taken = Vec::new();
    for (name, value) in [
        ("x", "a\r\nAuthorization: forged"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("x\r\nAuthorization", "forged"),
        ("x: y\r\nz", "forged"),
        ("", "forged"),
        ("x y", "forged"),
    ] {
        if Fields::new().append(name, value.as_bytes()).is_ok() {
            taken.push(format!("header {name:?}: {value:?}"));
        }
    }
    let request = OutgoingRequest::new(Fields::new());
    for path in [
        "/ HTTP/1.1\r\nHost: elsewhere\r\n\r\nGET /",
        "/a b",
        "/a\tb",
        "//elsewhere\r\n",
    ] {
        if request.set_path_with_query(Some(path)).is_ok() {
            taken.push(format!("path {path:?}"));
        }
    }
    for authority in ["a\r\nHost: b", "a b", "a/b", "a?b", "a#b"] {
        if request.set_authority(Some(authority)).is_ok() {
            taken.push(format!("authority {authority:?}"));
        }
    }
    say(format!("taken: [{}]", taken.join(", ")))
}

pub(crate) fn wrong_content_length(config: &Config) -> Answer {
    let headers = Fields::new();
    headers.append("Content-Length", b"5").unwrap();
    let request = to(config, headers);
    let body = request.body().unwrap();
    let under_way = outgoing_handler::handle(request, None);
    {
        let stream = body.write().unwrap();
        let _ = stream.blocking_write_and_flush(b"0123456789GET /smuggled HTTP/1.1\r\n\r\n");
    }
    let finished = OutgoingBody::finish(body, None);
    let answer = under_way
        .map_err(|error| format!("{error:?}"))
        .and_then(|u| wait(&u));
    say(format!(
        "finished: {}, answered: {}",
        finished.is_ok(),
        answer.is_ok()
    ))
}

/// Asks for each URL in the option `urls`, and says which were not denied.
pub(crate) fn forbidden_addresses(config: &Config) -> Answer {
    let mut reached = Vec::new();
    for url in option(config, "urls").split_whitespace() {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let request = OutgoingRequest::new(Fields::new());
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => Scheme::Other(other.to_owned()),
        };
        let set = request
            .set_scheme(Some(&scheme))
            .and_then(|()| request.set_authority(Some(authority)))
            .and_then(|()| request.set_path_with_query(Some(&format!("/{path}"))));
        if set.is_err() {
            continue;
        }
        let told = match outgoing_handler::handle(request, None) {
            Ok(under_way) => match wait(&under_way) {
                Ok(_) => "reached".to_owned(),
                Err(told) => told,
            },
            Err(error) => format!("{error:?}"),
        };
        let denied = [
            "HttpRequestDenied",
            "HttpRequestUriInvalid",
            "HttpProtocolError",
        ];
        if !denied.iter().any(|words| told.contains(words)) {
            reached.push(format!("{url}: {told}"));
        }
    }
    say(format!("not denied: [{}]", reached.join(", ")))
}

pub(crate) fn state_between_calls(_: &Config) -> Answer {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    say(format!(
        "call {}",
        CALLS.fetch_add(1, Ordering::Relaxed) + 1
    ))
}

pub(crate) fn second_line(_: &Config) -> Answer {
    Ok(vec![alert("{\"a\":1}\n{\"forged\":1}".to_owned())])
}

pub(crate) fn other_tenant(_: &Config) -> Answer {
    Ok(vec![alert(
        "{\"a\":1,\"ten\\u0061nt\":\"other\"}".to_owned(),
    )])
}

pub(crate) fn terminal_escapes(_: &Config) -> Answer {
    say("\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}\r\n2026-01-01 ERROR a line of its own")
}

/// Has the host keep as much text as it will for each of many requests, in pieces of the
/// option `bytes`.
pub(crate) fn stored_in_the_host(config: &Config) -> Answer {
    let bytes = option(config, "bytes").parse().unwrap();
    let text = "x".repeat(bytes);
    let method = Method::Other(text.clone());
    let scheme = Scheme::Other(text.clone());
    loop {
        let request = to(config, Fields::new());
        let _ = request.set_method(&method);
        let _ = request.set_scheme(Some(&scheme));
        let _ = request.set_path_with_query(Some(&text));
        std::mem::forget(request);
    }
}

pub(crate) fn headers_without_end(_: &Config) -> Answer {
    let fields = Fields::new();
    loop {
        fields.append("x", &[b'x'; 1024]).unwrap();
    }
}

/// Writes what the host takes of the bodies of requests that are never sent.
pub(crate) fn bodies_never_sent(config: &Config) -> Answer {
    let most = (0..10).map(|_| {
        let request = to(config, Fields::new());
        request.set_method(&Method::Post).unwrap();
        let body = request.body().unwrap();
        let stream = body.write().unwrap();
        let mut taken = 0;
        while let Ok(room @ 1..) = stream.check_write() {
            let part = vec![0; usize::try_from(room).unwrap()];
            stream.write(&part).unwrap();
            taken += room;
        }
        std::mem::forget((request, body, stream));
        taken
    });
    say(format!("held: {}", most.max().unwrap_or_default()))
}

/// Sends requests whose bodies never end, and reads the answers to theirs.
pub(crate) fn requests_never_ended(config: &Config) -> Answer {
    let answered = (0..100).filter(|_| {
        let request = to(config, Fields::new());
        request.set_method(&Method::Post).unwrap();
        let body = request.body().unwrap();
        let under_way = outgoing_handler::handle(request, None).unwrap();
        let Ok(answer) = wait(&under_way) else {
            return false;
        };
        let content = answer.consume().unwrap();
        let stream = content.stream().unwrap();
        while stream.blocking_read(4096).is_ok() {}
        std::mem::forget(body);
        true
    });
    say(format!("answered: {}", answered.count()))
}

/// Names the same bytes of the answer as unreadable, again and again.
pub(crate) fn overlapping_ranges(_: &Config) -> Answer {
    let range = ByteRange { start: 0, end: 1 };
    malformed(Vec::new(), vec![range; 500_000])
}

pub(crate) fn other_tenant_in_part(config: &Config) -> Answer {
    malformed(other_tenant(config)?, vec![ByteRange { start: 0, end: 1 }])
}

/// Tries what the policy denies, and says nothing of it.
pub(crate) fn denied_in_silence(config: &Config) -> Answer {
    for _ in 0..3 {
        let request = to(config, Fields::new());
        request.set_authority(Some("127.0.0.1:1")).unwrap();
        let under_way = outgoing_handler::handle(request, None).unwrap();
        let _ = wait(&under_way);
    }
    Ok(Vec::new())
}

fn malformed(alerts: Vec<Alert>, unreadable: Vec<ByteRange>) -> Answer {
    Err(Error::Malformed(Malformed {
        stage: Stage::Detections,
        offset: 0,
        message: "as it is meant to be".to_owned(),
        alerts,
        unreadable,
    }))
}

/// A GET of the detections with those headers, not sent yet.
fn to(config: &Config, headers: Fields) -> OutgoingRequest {
    let request = OutgoingRequest::new(headers);
    let authority = config.endpoint.trim_start_matches("http://");
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some("/api/alerts")).unwrap();
    request
}

fn begin(config: &Config) -> FutureIncomingResponse {
    let request = to(config, Fields::new());
    outgoing_handler::handle(request, None).unwrap()
}

fn wait(under_way: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    under_way.subscribe().block();
    let answer = under_way.get().and_then(Result::ok);
    answer
        .ok_or("no answer")?
        .map_err(|error| format!("{error:?}"))
}
