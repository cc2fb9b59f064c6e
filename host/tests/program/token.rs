//! `watchbell token`: what a token is good for, and the token itself only when asked.

use super::support::{Home, at_noon, run, source, start};
use watchbell_simulator::{CLIENT_ID, Client, Config, TENANT_ID};

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
