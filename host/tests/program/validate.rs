//! `watchbell validate`: every mistake is found without asking anyone.

use super::support::{Home, at_noon, source, start};

#[test]
fn a_right_configuration_is_said_to_be_valid_and_nobody_is_asked() {
    let running = start(at_noon());
    let home = Home::with(&format!(
        "{}[sinks.out]\ntype = \"console\"\ninputs = [\"contoso\"]\n",
        source(&running)
    ));
    let ran = home.run("validate", &[]);
    assert!(ran.stderr.contains("watchbell.toml: valid"), "{ran:?}");
    assert_eq!(ran.ok(), "");
    assert_eq!(running.stats().connections, 0);
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
fn a_csv_member_and_a_missing_ca_file_are_named() {
    let running = start(at_noon());
    let csv = "[sinks.out]\ntype = \"console\"\ninputs = [\"contoso\"]\nencoding.codec = \"csv\"\nencoding.csv.delimiter = \"\\n\"\n";
    let words = Home::with(&format!("{}{csv}", source(&running)))
        .run("validate", &[])
        .failed(78);
    assert!(words.contains("delimiter"), "{words}");
    let ca = format!("{}tls.ca_file = \"none.pem\"\n", source(&running));
    let words = Home::with(&ca).run("validate", &[]).failed(78);
    assert!(words.contains("none.pem"), "{words}");
}
