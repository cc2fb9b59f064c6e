//! Backends that are asked for many at a time, that change, fail and hang.

use super::*;
use crate::backend::EnvSettings;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;
use watchbell_settings::Seconds;

fn secrets(settings: SecretSettings, keys: &[&str]) -> (Secrets, Vec<SecretLocation>) {
    let named: Vec<SecretLocation> = keys
        .iter()
        .map(|key| {
            SecretLocation::Backend(SecretRef {
                backend: "vault".to_owned(),
                key: (*key).to_owned(),
            })
        })
        .collect();
    let secrets = Secrets::new([("vault".to_owned(), settings)]);
    secrets.expect(&named);
    (secrets, named)
}

async fn values(secrets: &Secrets, of: &[SecretLocation]) -> Vec<Result<String, String>> {
    let mut values = Vec::new();
    for credential in of {
        let found = secrets.get(credential, false).await;
        values.push(
            found
                .map(|s| s.expose().to_owned())
                .map_err(|e| e.to_string()),
        );
    }
    values
}

fn exec(script: &str, timeout: Duration) -> SecretSettings {
    SecretSettings::Exec(ExecSettings {
        command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        environment: BTreeMap::new(),
        timeout: Seconds(timeout),
    })
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{{\"a\": \"one\"}}").unwrap();
    let settings = SecretSettings::File(FileSettings {
        path: file.path().to_owned(),
    });
    let (secrets, named) = secrets(settings, &["a", "b"]);
    let found = values(&secrets, &named).await;
    assert_eq!(found[0], Ok("one".to_owned()));
    assert!(
        found[1]
            .as_ref()
            .unwrap_err()
            .contains("SECRET[vault.b]: the file has no")
    );
    std::fs::write(file.path(), "{\"a\": \"second\", \"b\": \"${X}\"}").unwrap();
    let found = values(&secrets, &named).await;
    assert_eq!(found[0], Ok("second".to_owned()));
    assert!(found[1].as_ref().unwrap_err().contains("it is not sent"));
}

#[tokio::test]
async fn a_folder_has_a_file_for_each() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "one\n").unwrap();
    let settings = SecretSettings::Directory(DirectorySettings {
        path: folder.path().to_owned(),
    });
    let (secrets, named) = secrets(settings, &["a", "b"]);
    let found = values(&secrets, &named).await;
    assert_eq!(found[0], Ok("one".to_owned()));
    assert!(found[1].is_err());
}

#[tokio::test]
async fn a_program_is_asked_once_for_all_and_again_for_the_one_that_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!(
        "cat >> {0}; echo >> {0}; n=$(wc -l < {0}); echo '{{\"a\":{{\"value\":\"a'$n'\",\"error\":null}},\"b\":{{\"value\":null,\"error\":\"no\\u001b[31m\"}}}}'",
        log.display()
    );
    let (secrets, named) = secrets(exec(&script, Duration::from_secs(5)), &["a", "b"]);
    let found = values(&secrets, &named).await;
    assert_eq!(found[0], Ok("a1".to_owned()));
    let refused = found[1].as_ref().unwrap_err();
    assert!(
        refused.contains("SECRET[vault.b]: no") && !refused.contains('\u{1b}'),
        "{refused}"
    );
    assert_eq!(secrets.get(&named[0], false).await.unwrap().expose(), "a1");
    assert_eq!(secrets.get(&named[0], true).await.unwrap().expose(), "a3");
    let asked = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = asked.lines().collect();
    assert_eq!(lines[0], r#"{"version":"1.0","secrets":["a","b"]}"#);
    assert_eq!(lines[2], r#"{"version":"1.0","secrets":["a"]}"#);
}

#[tokio::test]
async fn a_program_that_hangs_fails_or_babbles_is_told_and_never_repeats_its_words() {
    for (script, words) in [
        ("sleep 60", "took longer than 0.2 s"),
        ("echo marked; exit 3", "ended with exit status: 3"),
        ("echo marked", "did not answer as"),
        ("echo '{}'", "did not name it"),
    ] {
        let (secrets, named) = secrets(exec(script, Duration::from_millis(200)), &["a"]);
        let found = values(&secrets, &named).await;
        let error = found[0].as_ref().unwrap_err();
        assert!(
            error.contains(words) && !error.contains("marked"),
            "{error}"
        );
    }
    let (secrets, _) = secrets(SecretSettings::Env(EnvSettings {}), &[]);
    let stray = SecretLocation::Backend("SECRET[other.a]".parse().unwrap());
    let error = secrets.get(&stray, false).await.unwrap_err().to_string();
    assert!(error.contains("add [secret.other]"), "{error}");
}

#[tokio::test]
async fn a_refused_secret_holds_up_nobody_whose_secret_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let slow = folder.path().join("slow");
    let script = format!(
        "test -e {0} && sleep 60; echo '{{\"a\":{{\"value\":\"one\"}},\"b\":{{\"value\":\"two\"}}}}'",
        slow.display()
    );
    let (secrets, named) = secrets(exec(&script, Duration::from_secs(20)), &["a", "b"]);
    values(&secrets, &named).await;
    std::fs::write(&slow, "").unwrap();
    let refused = secrets.get(&named[0], true);
    let other = async {
        // By now the program is being asked.
        tokio::time::sleep(Duration::from_millis(200)).await;
        secrets.get(&named[1], false).await.unwrap()
    };
    tokio::select! {
        other = other => assert_eq!(other.expose(), "two"),
        _ = refused => panic!("the known one waits for the program"),
    }
}

#[tokio::test]
async fn those_who_wait_for_a_program_share_its_answer_and_its_failure() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    for answer in ["'{\"a\":{\"value\":\"one\"}}'", "no; exit 1"] {
        std::fs::write(&log, "").unwrap();
        let script = format!(
            "cat > /dev/null; echo x >> {}; sleep 0.3; echo {answer}",
            log.display()
        );
        let (secrets, named) = secrets(exec(&script, Duration::from_secs(20)), &["a"]);
        let ask = || secrets.get(&named[0], true);
        let (one, other, third) = tokio::join!(ask(), ask(), ask());
        assert!(one.is_ok() == other.is_ok() && other.is_ok() == third.is_ok());
        let asked = std::fs::read_to_string(&log).unwrap();
        assert_eq!(asked.lines().count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_backend_that_stays_keeps_what_it_fetched_and_forgets_what_nobody_names() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "cat > /dev/null; echo x >> {0}/log; echo '{{\"a\":{{\"value\":\"one\"}},\"b\":{{\"value\":\"two\"}}}}'",
        folder.path().display()
    );
    let settings = exec(&script, Duration::from_secs(20));
    let (old, named) = secrets(settings.clone(), &["a", "b"]);
    values(&old, &named).await;
    let both = [
        ("vault".to_owned(), settings),
        ("other".to_owned(), SecretSettings::Env(EnvSettings {})),
    ];
    let new = old.changed_to(both.clone());
    assert!(Arc::ptr_eq(&old.backends["vault"], &new.backends["vault"]));
    assert!(new.has_same_backends(&old, &named[..1]));
    values(&new, &named).await;
    new.forget_others(&named[..1]);
    assert_eq!(old.backends["vault"].cache().values.len(), 1);
    assert_eq!(old.backends["vault"].cache().named.len(), 1);
    let asked = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(asked.lines().count(), 1);
    let changed = new.changed_to([("vault".to_owned(), SecretSettings::Env(EnvSettings {}))]);
    assert!(!changed.has_same_backends(&new, &named[..1]));
}

#[tokio::test]
async fn nothing_that_looks_unresolved_is_handed_out() {
    let folder = tempfile::tempdir().unwrap();
    let settings = SecretSettings::Directory(DirectorySettings {
        path: folder.path().to_owned(),
    });
    let (secrets, named) = secrets(settings, &["a"]);
    let file = folder.path().join("a");
    for text in [
        "SECRET[vault.team/contoso]",
        "SECRET[vault]",
        "SECRET[vault.a ",
        "x${A}",
        "${A",
    ] {
        std::fs::write(&file, text).unwrap();
        for credential in [
            named[0].clone(),
            SecretLocation::File(file.clone()),
            SecretLocation::Inline(Secret::new(text.to_owned())),
        ] {
            let found = secrets.get(&credential, false).await;
            assert!(matches!(found, Err(SecretError::Unresolved)), "{text}");
        }
    }
}
