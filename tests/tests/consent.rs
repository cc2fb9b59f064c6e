//! A user's consent: each use of a refresh token replaces it, and none may be lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use watchbell::config::Document;
use watchbell::sources::defender::Credential;
use watchbell::sources::{DefenderClient, Runtime};
use watchbell_sandbox::Pool;
use watchbell_secrets::Secret;
use watchbell_settings::Format;
use watchbell_simulator::{CLIENT_ID, Config, Running, Simulator, TENANT_ID};

const KEY: &str = "0123456789-0123456789-0123456789";

/// A service, and a sealed refresh token for it.
struct Consented {
    running: Running,
    folder: TempDir,
}

impl Consented {
    async fn new() -> Self {
        let one = Self {
            running: Simulator::start(Config::default()).await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        let (runtime, puller) = one.start();
        let Credential::RefreshToken(consent) = puller.settings().settings.credential() else {
            panic!("a consent")
        };
        let token = Secret::new(one.running.refresh_token());
        runtime.secrets.seal(&consent.token, &token).await.unwrap();
        one
    }

    fn sealed(&self) -> PathBuf {
        self.folder.path().join("contoso.refresh")
    }

    /// What a process has that was started just now.
    fn start(&self) -> (Runtime, DefenderClient) {
        let file = format!(
            "[sources.contoso]\ntype = \"defender\"\nendpoint = \"{}\"\nauthority = \"{}\"\ntenant_id = \"{TENANT_ID}\"\n\
             client_id = \"{CLIENT_ID}\"\nrefresh_token_file = {:?}\nrefresh_token_key = \"{KEY}\"\n\
             egress.allow_addresses = [\"127.0.0.0/8\"]\n",
            self.running.endpoint(),
            self.running.authority(),
            self.sealed(),
        );
        let document = Document::parse(&file, Format::Toml, Path::new("w.toml")).unwrap();
        let runtime = Runtime::start(Pool::OneShot, Some(self.folder.path())).unwrap();
        let puller = DefenderClient::new(&runtime, document.source("contoso", &|_| None).unwrap());
        (runtime, puller.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_cannot_be_written_down_is_held_until_it_can() {
    let one = Consented::new().await;
    let before = std::fs::read(one.sealed()).unwrap();
    // Root may write anywhere, but not into a folder that cannot change.
    let change = |flag: &str| {
        let chattr = Command::new("chattr")
            .arg(flag)
            .arg(one.folder.path())
            .status();
        chattr.is_ok_and(|status| status.success())
    };
    if !change("+i") {
        println!("not run: nothing here makes a folder unchangeable");
        return;
    }
    let (_runtime, puller) = one.start();
    let token = puller.token().await;
    let kept = std::fs::read(one.sealed());
    assert!(change("-i"));
    token.unwrap();
    assert_eq!(kept.unwrap(), before);
    puller.token().await.unwrap();
    assert_ne!(std::fs::read(one.sealed()).unwrap(), before);
    one.start().1.token().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_is_written_down_though_nobody_waits_for_it_any_more() {
    let one = Consented::new().await;
    let before = std::fs::read(one.sealed()).unwrap();
    one.running
        .add_fault("token:delay:ms=1500:times=1".parse().unwrap());
    let (_runtime, puller) = one.start();
    let given_up = tokio::time::timeout(Duration::from_millis(700), puller.token()).await;
    assert!(given_up.is_err(), "the answer takes longer");
    let written = async {
        while std::fs::read(one.sealed()).unwrap() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(30), written).await;
    assert!(written.is_ok(), "the old one still stands there");
    one.start().1.token().await.unwrap();
}
