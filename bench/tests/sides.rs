//! Both sides do the same work: else comparing them would say nothing.

// A test that cannot be set up has failed.
#![allow(clippy::unwrap_used)]

use serde_json::{Map, Value};
use watchbell_bench::{Native, Ours, ServiceArgs, Side, Window, serve};
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, TENANT_ID};

fn service(endpoint: &str, authority: &str) -> ServiceArgs {
    ServiceArgs {
        endpoint: endpoint.to_owned(),
        authority: authority.to_owned(),
        ca_file: None,
        tenant_id: TENANT_ID.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: CLIENT_SECRET.to_owned(),
    }
}

fn objects(ndjson: &[u8]) -> Vec<Map<String, Value>> {
    let lines = std::str::from_utf8(ndjson).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_write_the_same_detections_null_members_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (served, _running) = serve(1000, &folder.path().join("ca.pem")).await.unwrap();
    let service = service(&served.plain, &served.plain);
    let native = Native::start(&service).await.unwrap();
    let ours = Ours::start(&service, folder.path()).unwrap();
    for detections in [20, 1000] {
        let window = Window::of(detections).unwrap();
        let (mut one, mut other) = (Vec::new(), Vec::new());
        assert_eq!(
            native.pull(&window, &mut one).await.unwrap(),
            detections as usize
        );
        assert_eq!(
            ours.pull(&window, &mut other).await.unwrap(),
            detections as usize
        );
        let mut exact = objects(&other);
        for object in &mut exact {
            object.retain(|_, value| !value.is_null());
        }
        assert_eq!(objects(&one), exact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tls_side_is_trusted_by_its_authority_and_by_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let (served, _running) = serve(20, &ca_file).await.unwrap();
    let mut service = service(&served.tls_endpoint, &served.tls_authority);
    assert!(Native::start(&service).await.is_err());
    service.ca_file = Some(ca_file);
    let native = Native::start(&service).await.unwrap();
    let mut out = Vec::new();
    assert_eq!(
        native
            .pull(&Window::of(20).unwrap(), &mut out)
            .await
            .unwrap(),
        20
    );
}
