//! What crosses into the instance that parses an answer: neither the secret nor the
//! token. A component that shows all it can see stands in for the bundled one.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use serde_json::Value;
use std::path::Path;
use watchbell::config::Document;
use watchbell::sources::{DefenderClient, PollError, Runtime, Window};
use watchbell_sandbox::Pool;
use watchbell_settings::Format;
use watchbell_tests::MIRROR;
use watchbell_tests::server::{Server, Step};

/// What the mirror's `authenticate` hands out.
const TOKEN: &str = "MARKED.mirror.token";

fn ago() -> Window {
    Window::Ago("PT1H".to_owned())
}

/// The mirror in a source's place, with further settings.
fn mirror(server: &Server, settings: &str) -> DefenderClient {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mirror.wasm"), MIRROR).unwrap();
    let file = format!(
        "[sources.contoso]\ntype = \"defender\"\ncomponent = {:?}\nendpoint = \"{url}\"\nauthority = \"{url}\"\n\
         tenant_id = \"contoso.com\"\nclient_id = \"{id}\"\nclient_secret = \"MARKED0~secret\"\n\
         egress.allow_addresses = [\"127.0.0.0/8\"]\n{settings}",
        folder.path().join("mirror.wasm"),
        url = server.url(),
        id = watchbell_simulator::CLIENT_ID,
    );
    let document = Document::parse(&file, Format::Toml, Path::new("w.toml")).unwrap();
    let runtime = Runtime::start(Pool::OneShot, Some(folder.path())).unwrap();
    let source = document.source("contoso", &|_| None).unwrap();
    DefenderClient::new(&runtime, source).unwrap()
}

#[tokio::test]
async fn the_polling_instance_gets_neither_secret_nor_token_and_cannot_forge_one() {
    let server = Server::answering("200 OK", "X-Odd: told\r\n", "[\"the body\"]").await;
    let puller = mirror(&server, "");
    let pulled = puller.poll(&ago()).await.unwrap();

    let [alert] = pulled.as_slice() else {
        panic!("one alert: {pulled:?}")
    };
    assert!(!alert.json.contains("MARKED"), "{}", alert.json);
    let seen: Value = serde_json::from_str(&alert.json).unwrap();
    let config = seen["config"].as_str().unwrap();
    assert!(
        config.contains("Credentials::Host") && config.contains("PT1H"),
        "{config}"
    );
    assert!(
        seen["headers"].to_string().contains("told"),
        "it does see the answer: {seen}"
    );
    assert_eq!(seen["body"], "[\"the body\"]");
    assert!(
        seen["forged"].as_str().unwrap().contains("Forbidden"),
        "{seen}"
    );

    let sent = server.requests().remove(0).to_lowercase();
    let line = format!("authorization: bearer {}", TOKEN.to_lowercase());
    assert_eq!(sent.matches("authorization").count(), 1, "{sent}");
    assert!(sent.contains(&line), "the host added it: {sent}");
}

#[tokio::test]
async fn nor_does_it_when_the_token_is_refused_and_renewed() {
    let headers = "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n";
    let server = Server::answering("401 Unauthorized", headers, "{\"error\":\"refused\"}").await;
    let refused = mirror(&server, "").poll(&ago()).await.unwrap_err();
    let PollError::Service { error, .. } = &refused else {
        panic!("{refused}")
    };
    let seen = format!("{error:?}");
    assert!(
        seen.contains("invalid_token") && seen.contains("Credentials::Host"),
        "{seen}"
    );
    assert!(
        !seen.contains("MARKED") && !refused.to_string().contains("MARKED"),
        "{seen}"
    );
    let sent = server.requests();
    assert_eq!(sent.len(), 2, "it was asked again with another token");
    for request in sent {
        assert_eq!(request.matches(TOKEN).count(), 1, "{request}");
    }
}

#[tokio::test]
async fn nor_does_it_with_an_error_status_or_a_body_that_is_cut_off() {
    let say = |text: &str| vec![Step::Say(text.as_bytes().to_vec())];
    for (answer, want) in [
        (
            "HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 4\r\n\r\nbusy",
            "busy",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n[{\"half\"",
            "half",
        ),
    ] {
        let server = Server::start(say(answer)).await;
        let pulled = mirror(&server, "").poll(&ago()).await.unwrap();
        let [alert] = pulled.as_slice() else {
            panic!("one alert: {pulled:?}")
        };
        assert!(
            alert.json.contains(want) && !alert.json.contains("MARKED"),
            "{}",
            alert.json
        );
    }
}

#[tokio::test]
async fn what_the_authenticating_instance_says_of_its_secret_is_taken_out() {
    let server = Server::answering("200 OK", "", "[]").await;
    for how in ["other", "refusal", "denied"] {
        let puller = mirror(&server, &format!("options.tell = \"{how}\"\n"));
        let refused = puller.poll(&ago()).await.unwrap_err();
        for said in [refused.to_string(), format!("{refused:?}")] {
            assert!(
                said.contains("***") && !said.contains("MARKED"),
                "{how}: {said}"
            );
        }
    }
}
