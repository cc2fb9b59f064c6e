//! `watchbell validate`: every mistake is found without asking anyone.

use super::support::{Home, at_noon, fifo, source, start};
use watchbell_simulator::CLIENT_SECRET;

#[test]
fn a_right_configuration_is_said_to_be_valid_and_nobody_is_asked() {
    let running = start(at_noon());
    let home = Home::with(&format!(
        "data_dir = \"data\"\n{}[sinks.out]\ntype = \"file\"\ninputs = [\"contoso\"]\npath = \"to/come/out.ndjson\"\n",
        source(&running)
    ));
    let ran = home.run("validate", &[]);
    assert!(ran.stderr.contains("watchbell.toml: valid"), "{ran:?}");
    assert_eq!(ran.ok(), "");
    assert_eq!(running.stats().connections, 0);
    // It made data_dir as whoever checked, and the service's user was refused later.
    let left: Vec<_> = std::fs::read_dir(home.path(".")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

/// What `run` refuses, and what no poll could do, it took for valid.
#[test]
fn all_that_a_start_would_find_is_found_at_once() {
    let running = start(at_noon());
    let secret = format!("client_secret = \"{CLIENT_SECRET}\"");
    let key = "refresh_token_key = \"01234567890123456789012345678901\"";
    let sealed = format!("refresh_token_file = \"none\"\n{key}");
    let mut text = "data_dir = \"data\"\n".to_owned();
    let mut want = Vec::new();
    for (name, how, words) in [
        ("a", "client_secret_file = \"none\"", "secret file none: "),
        ("b", "client_secret_file = \"fifo\"", "is a named pipe"),
        ("c", sealed.as_str(), "is not there"),
        ("d", "client_secret = \"SECRET[file.x]\"", "none.json"),
        ("e", "client_secret = \"SECRET[dir.x]\"", "folder/x"),
        (
            "f",
            "client_secret = \"SECRET[env.x]\"",
            "the variable x is not set",
        ),
        (
            "g",
            "client_secret = \"SECRET[gone.x]\"",
            "there is no such program",
        ),
        (
            "h",
            "client_secret = \"SECRET[away.x]\"",
            "there is no such program",
        ),
        (
            "i",
            secret.as_str(),
            "authority: denied: 127.0.0.1, which is loopback",
        ),
        ("j", secret.as_str(), "authority: denied: "),
    ] {
        let mut one = source(&running)
            .replace("sources.contoso", &format!("sources.{name}"))
            .replace(&secret, how);
        if name == "i" {
            one = one.replace("egress.allow", "#");
        } else if name == "j" {
            one = one.replace(
                running.endpoint().as_str(),
                "https://metadata.google.internal",
            );
        }
        text += &one;
        want.push((format!("sources.{name}: "), words));
    }
    let inputs = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|n| format!("\"{n}\""));
    for (name, path, words) in [
        ("s", "watchbell.toml/x", "is not a folder"),
        ("t", "folder", "is a folder, not a file"),
        ("u", "/dev/full", "is no regular file"),
        ("v", "\\u0000", "NUL byte"),
        ("w", &"w".repeat(300), "File name too long"),
    ] {
        text += &format!(
            "[sinks.{name}]\ntype = \"file\"\ninputs = [{}]\npath = \"{path}\"\n",
            inputs.join(",")
        );
        want.push((format!("sinks.{name}.path: "), words));
    }
    text += "[secret.file]\ntype = \"file\"\npath = \"none.json\"\n[secret.dir]\ntype = \"directory\"\npath = \"folder\"\n\
             [secret.env]\ntype = \"env\"\n[secret.gone]\ntype = \"exec\"\ncommand = [\"no-such-program\"]\n\
             [secret.away]\ntype = \"exec\"\ncommand = [\"./none\"]\n";
    let home = Home::with(&text);
    std::fs::create_dir(home.path("folder")).unwrap();
    fifo(&home.path("fifo"));
    let said = home.run("validate", &[]).failed(78);
    for (part, words) in want {
        let mut lines = said.lines();
        let is_told = lines.any(|line| line.contains(&part) && line.contains(words));
        assert!(is_told, "{part}{words}: {said}");
    }
    assert!(!home.path("data").exists());
    assert_eq!(running.stats().connections, 0);
}

#[test]
fn what_run_needs_and_what_its_component_cannot_do_is_told() {
    let running = start(at_noon());
    let said = Home::with(&source(&running))
        .run("validate", &[])
        .failed(78);
    assert!(said.contains("has no sinks"), "{said}");
    assert!(said.contains("data_dir: is missing"), "{said}");
    let said = Home::with("data_dir = \"x\"\n")
        .run("validate", &[])
        .failed(78);
    assert!(said.contains("has no sources"), "{said}");
    for verb in ["validate", "run"] {
        let graph = format!("{}api = \"graph\"\n", source(&running));
        let said = Home::with(&graph).run(verb, &[]).failed(78);
        assert!(said.contains("api: is graph"), "{said}");
        let nowhere = format!("data_dir = \"x\"\n{}", source(&running));
        let said = Home::with(&nowhere).run(verb, &[]).failed(78);
        assert!(said.contains("has no sinks"), "{said}");
    }
}

#[test]
fn what_only_a_component_can_judge_is_judged() {
    let running = start(at_noon());
    let sink = "[sinks.out]\ntype = \"console\"\ninputs = [\"x\"]\n";
    for (more, said) in [
        (
            "[transforms.x]\ntype = \"jq\"\ninputs = [\"contoso\"]\nfilter = 'select(.A == '\n",
            "transforms.x: filter: byte ",
        ),
        (
            "[transforms.x]\ntype = \"jq\"\ninputs = [\"contoso\"]\nfilter = '.t = now'\n",
            "now",
        ),
        (
            "[transforms.x]\ncomponent = \"none.wasm\"\ninputs = [\"contoso\"]\n",
            "none.wasm",
        ),
        (
            "[transforms.x]\ncomponent = \"text.wasm\"\ninputs = [\"contoso\"]\n",
            "not a WebAssembly component",
        ),
        (
            "[transforms.x]\ncomponent = \"large.wasm\"\ninputs = [\"contoso\"]\n",
            "larger than the 64 MiB that a component may have",
        ),
        (
            "[transforms.x]\ncomponent = \"csv.wasm\"\ninputs = [\"contoso\"]\n",
            "alert-processor",
        ),
        (
            "[transforms.x]\ncomponent = \"defender.wasm\"\ninputs = [\"contoso\"]\n",
            "wasi:",
        ),
    ] {
        let home = Home::with(&format!("{}{more}{sink}", source(&running)));
        home.write("text.wasm", "not a component");
        let large = std::fs::File::create(home.path("large.wasm")).unwrap();
        large.set_len((64 << 20) + 1).unwrap();
        std::fs::write(home.path("csv.wasm"), watchbell_components::CSV).unwrap();
        std::fs::write(home.path("defender.wasm"), watchbell_components::DEFENDER).unwrap();
        let words = home.run("validate", &[]).failed(78);
        assert!(
            words.contains("transforms.x") && words.contains(said),
            "{said}: {words}"
        );
    }
}

#[test]
fn options_that_a_bundled_component_refuses_and_a_missing_ca_file_are_named() {
    let running = start(at_noon());
    let sink = "[sinks.out]\ntype = \"console\"\ninputs = [\"contoso\"]\n";
    let csv = format!("{sink}encoding.codec = \"csv\"\nencoding.csv.");
    let transform = "[transforms.none]\ntype = \"jq\"\ninputs = [\"contoso\"]\n";
    for (more, said) in [
        (
            format!("{csv}delimiter = \"\\n\"\n"),
            "sinks.out: delimiter: byte 0: it is one ASCII character",
        ),
        (
            format!("{csv}fields = []\n"),
            "sinks.out: fields: byte 0: it names no member",
        ),
        (
            format!("{csv}fields = [\"Severity\", \"Severity\"]\n"),
            "`Severity` stands here again",
        ),
        (
            format!(
                "{}{transform}filter = \" \"\n",
                sink.replace("contoso", "none")
            ),
            "transforms.none: filter: byte 0: it is empty; write a filter, or `.` for everything",
        ),
    ] {
        let home = Home::with(&format!("{}{more}", source(&running)));
        let words = home.run("validate", &[]).failed(78);
        assert!(words.contains(said), "{said}: {words}");
    }
    let ca = format!("{}tls.ca_file = \"none.pem\"\n", source(&running));
    let words = Home::with(&ca).run("validate", &[]).failed(78);
    assert!(words.contains("none.pem"), "{words}");
}
