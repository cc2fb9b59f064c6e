//! `watchbell token`: what a token is good for, and the token itself only when asked.

use super::support::{Home, Ran, at_noon, run, source, start};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use watchbell_simulator::{CLIENT_ID, CLIENT_SECRET, Client, Config, TENANT_ID};

#[test]
fn it_shows_what_the_token_is_good_for_and_not_the_token() {
    let running = start(at_noon());
    let home = Home::with(&source(&running));
    let shown = home.run("token", &[]).ok();
    for want in [TENANT_ID, CLIENT_ID, "Alert.Read.All", "in 3599 s"] {
        assert!(shown.contains(want), "{want}: {shown}");
    }
    let token = home.run("token", &["--show"]).ok();
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
    assert_eq!(token.lines().count(), 1);
    for part in token.trim().split('.') {
        assert!(!shown.contains(part), "{shown}");
    }
}

#[test]
fn a_token_without_roles_says_what_will_happen() {
    let clients = vec![Client {
        roles: Vec::new(),
        ..Client::default()
    }];
    let running = start(Config {
        clients,
        ..at_noon()
    });
    let home = Home::with(&source(&running));
    let shown = home.run("token", &[]).ok();
    assert!(shown.contains("the API will refuse it"), "{shown}");
    home.run("poll", &[]).failed(77);
}

#[test]
fn a_wrong_secret_is_told_with_the_services_own_code() {
    let running = start(at_noon());
    let home = Home::with(&source(&running));
    let mut command = home.watchbell(["token", "-c", "watchbell.toml"]);
    let words = run(command.env("WATCHBELL_CLIENT_SECRET", "wrong")).failed(77);
    assert!(
        words.contains("answered 401: AADSTS7000215: Invalid client secret")
            && !words.contains("\\r"),
        "{words}"
    );
}

#[test]
fn a_refresh_token_is_sealed_used_and_replaced_and_is_nowhere_in_the_clear() {
    const KEY: &str = "MARKED-key-0123456789-0123456789-0123456789";
    let running = start(at_noon());
    let first = running.refresh_token();
    let secret = format!("client_secret = \"{CLIENT_SECRET}\"");
    let config = source(&running).replace(
        &secret,
        "refresh_token_file = \"contoso.refresh\"\nrefresh_token_key = \"SECRET[vault.KEY]\"",
    );
    let home = Home::with(&format!("{config}[secret.vault]\ntype = \"env\"\n"));
    let verb = |name: &str, args: &[&str], key: &str| -> Ran {
        let mut command = home.watchbell([name, "-c", "watchbell.toml"]);
        let command = command.args(args).env("KEY", key);
        let ran = run(command.env("WATCHBELL_LOG", "trace"));
        for text in [&ran.stdout, &ran.stderr] {
            assert!(
                !text.contains("MARKED") && !text.contains("0.refresh-"),
                "{text}"
            );
        }
        ran
    };
    let refused = verb("token", &[], KEY).failed(78);
    assert!(refused.contains("--seal-refresh-token"), "{refused}");

    home.write("given", &format!("{first}\n"));
    let mut command = home.watchbell(["token", "-c", "watchbell.toml", "--seal-refresh-token"]);
    let given = File::open(home.path("given")).unwrap();
    assert_eq!(run(command.stdin(given).env("KEY", KEY)).code, Some(0));
    let about = std::fs::metadata(home.path("contoso.refresh")).unwrap();
    assert_eq!(about.mode() & 0o777, 0o600);

    // Each use replaces it, so the second one shows that the new one was kept.
    for _ in 0..2 {
        let before = std::fs::read(home.path("contoso.refresh")).unwrap();
        verb("token", &[], KEY).ok();
        let after = std::fs::read(home.path("contoso.refresh")).unwrap();
        assert_ne!(before, after);
        let after = String::from_utf8_lossy(&after).into_owned();
        assert!(!after.contains("refresh-"), "{after:?}");
    }
    assert_ne!(running.refresh_token(), first);
    verb("poll", &["--ago", "PT1H"], KEY).ok();

    let refused = verb("token", &[], &KEY.replace("key", "kez")).failed(78);
    assert!(refused.contains("does not open"), "{refused}");
    running.add_fault("token:500".parse().unwrap());
    verb("token", &[], KEY);
}
