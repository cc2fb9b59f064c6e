//! What crosses into the instance that parses an answer: neither the secret nor the
//! token. A component that shows all it can see stands in for the bundled one.

use serde_json::Value;
use std::path::Path;
use watchbell::config::{Document, Format};
use watchbell::schedule::{Puller, Runtime, Window};
use watchbell_sandbox::Pool;
use watchbell_tests::MIRROR;
use watchbell_tests::server::Server;

/// What the mirror's `authenticate` hands out.
const TOKEN: &str = "MARKED.mirror.token";

#[tokio::test]
async fn the_polling_instance_gets_neither_secret_nor_token_and_cannot_forge_one() {
    let server = Server::answering("200 OK", "X-Odd: told\r\n", "[\"the body\"]").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mirror.wasm"), MIRROR).unwrap();
    let file = format!(
        "[sources.contoso]\ntype = \"defender\"\ncomponent = {:?}\nendpoint = \"{url}\"\nauthority = \"{url}\"\n\
         tenant_id = \"contoso.com\"\nclient_id = \"{id}\"\nclient_secret = \"MARKED0secret\"\n\
         egress.allow_addresses = [\"127.0.0.0/8\"]\n",
        folder.path().join("mirror.wasm"),
        url = server.url(),
        id = watchbell_simulator::CLIENT_ID,
    );
    let document = Document::parse(&file, Format::Toml, Path::new("w.toml")).unwrap();
    let runtime = Runtime::start(Pool::OneShot, Some(folder.path())).unwrap();
    let source = document.source("contoso", &|_| None).unwrap();
    let puller = Puller::new(&runtime, source).unwrap();
    let pulled = puller.poll(&Window::Ago("PT1H".to_owned())).await.unwrap();

    let [alert] = pulled.alerts.as_slice() else {
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
