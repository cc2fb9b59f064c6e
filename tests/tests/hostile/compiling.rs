//! Components that take too much to compile, and the process that compiles.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};
use watchbell_sandbox::{
    CompileLimits, Compiler, Encoder, Engine, Limits, LoadError, Pool, Processor, Source,
    Structure, read_component,
};
use watchbell_tests::{ENGINE, EXAMPLE_PROCESSOR, bombs};

/// No test: what a compiler's process does, which is this program with that name.
#[test]
#[ignore = "the process that other tests start to compile"]
fn compiler_process() {
    // Who asks for ignored tests is no parent with a component.
    let _ = watchbell_sandbox::compile_for_parent();
}

fn compiler(limits: CompileLimits) -> Compiler {
    let args = [
        "--exact",
        "compiling::compiler_process",
        "--ignored",
        "--nocapture",
    ];
    Compiler::this_program(args).unwrap().with_limits(limits)
}

fn engine_with(compiler: Compiler) -> Engine {
    Engine::new(Pool::OneShot, None)
        .unwrap()
        .with_compiler(compiler)
}

fn refusal<T>(loaded: Result<T, LoadError>) -> LoadError {
    loaded.err().unwrap()
}

/// Refused for that much of a part, as a source, a processor and an encoder, and at once:
/// the compiler would take minutes.
#[track_caller]
fn too_much(component: &[u8], part: Structure, found: u64) {
    let begun = Instant::now();
    for error in [
        refusal(Source::load(&ENGINE, component)),
        refusal(Processor::load(&ENGINE, component)),
        refusal(Encoder::load(&ENGINE, component)),
    ] {
        let words = error.to_string();
        assert!(words.contains(&found.to_string()), "{words}");
        assert!(words.contains(&part.most().to_string()), "{words}");
        let LoadError::Structure { part: of, .. } = error else {
            panic!("{words}");
        };
        assert_eq!(of, part, "{words}");
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
}

/// 541 bytes took 6 GB.
#[test]
fn instances_in_instances_are_multiplied_out() {
    let small = bombs::nested_instances(27, 2);
    assert!(small.len() < 2000, "{}", small.len());
    too_much(&small, Structure::Instances, (1 << 28) - 1);
    too_much(
        &bombs::nested_instances(2, 1500),
        Structure::Instances,
        1500 * 1501 + 1,
    );
    too_much(
        &bombs::nested_components(13, 2),
        Structure::Instances,
        (1 << 14) - 1,
    );
    // More than there are numbers.
    too_much(
        &bombs::nested_instances(200, 4),
        Structure::Instances,
        u64::MAX,
    );
}

#[test]
fn what_is_never_instantiated_costs_nothing_and_is_not_counted() {
    let text = "(component (component $a) (component $b (instance (instantiate $a))))";
    let words = refusal(Processor::load(&ENGINE, &wat::parse_str(text).unwrap())).to_string();
    assert!(words.contains("is no alert-processor"), "{words}");
}

#[test]
fn components_in_components_have_a_depth() {
    too_much(&bombs::nested_components(80, 1), Structure::Depth, 17);
}

/// Which one it is shows only when it is handed over.
#[test]
fn components_that_are_handed_to_others_are_refused() {
    for text in [
        "(component (component (import \"c\" (component)))) ",
        "(component (component $a (component $b) (export \"b\" (component $b)))
           (instance $i (instantiate $a)) (alias export $i \"b\" (component $x))
           (instance (instantiate $x)))",
    ] {
        let error = refusal(Processor::load(&ENGINE, &wat::parse_str(text).unwrap()));
        assert!(error.to_string().contains("handed to another"), "{error}");
    }
}

/// 1.6 MB took half a minute.
#[test]
fn functions_are_counted_and_their_local_variables() {
    let many = bombs::empty_functions(400_000);
    assert!(many.len() < 1_700_000, "{}", many.len());
    too_much(&many, Structure::Functions, 400_000);
    let small = bombs::local_variables(4000);
    assert!(small.len() < 40_000, "{}", small.len());
    too_much(&small, Structure::Locals, 2_050_000);
}

/// Types are read recursively: this used to overflow the stack, which ends the process.
#[test]
fn types_in_types_are_counted_before_anything_reads_them() {
    too_much(&bombs::nested_types(256), Structure::NestedTypes, 257);
    too_much(&bombs::nested_types(20 << 20), Structure::NestedTypes, 257);
    // As many as there may be are read.
    let words = refusal(Processor::load(&ENGINE, &bombs::nested_types(255))).to_string();
    assert!(words.contains("is no alert-processor"), "{words}");
}

#[test]
fn what_nobody_reads_may_be_as_large_as_a_file_may() {
    for name in ["name", "producers", "component-type", "x"] {
        let large = bombs::custom_section(name, 60 << 20);
        let words = refusal(Processor::load(&ENGINE, &large)).to_string();
        assert!(words.len() < 1000, "{name}: {words}");
    }
}

#[test]
fn imports_are_judged_before_anything_is_compiled() {
    // It could not be compiled.
    let text = "(component (core module (func (result i32)))
        (import \"wasi:cli/environment@0.2.0\" (instance)))";
    let error = refusal(Processor::load(&ENGINE, &wat::parse_str(text).unwrap()));
    assert!(matches!(error, LoadError::Import { .. }), "{error:?}");
}

#[tokio::test]
async fn what_another_process_compiled_runs_here() {
    let engine = engine_with(compiler(CompileLimits::default()));
    let processor = Processor::load(&engine, EXAMPLE_PROCESSOR).unwrap();
    let options = vec![("at_least".to_owned(), "high".to_owned())];
    let limits = Limits::for_plugin();
    processor.check(&options, &limits).await.unwrap().unwrap();
    // Its words for what is no component come from there too.
    let mut turned = EXAMPLE_PROCESSOR.to_vec();
    let length = turned.len();
    turned[length / 2..length / 2 + 64].fill(0xff);
    let error = refusal(Processor::load(&engine, &turned));
    assert!(matches!(error, LoadError::Invalid(_)), "{error:?}");
}

/// What its structure lets pass and takes some seconds.
fn slow() -> Vec<u8> {
    bombs::empty_functions(99_000)
}

#[track_caller]
fn hits(limits: CompileLimits, what: &str) {
    let error = refusal(Processor::load(&engine_with(compiler(limits)), &slow()));
    let LoadError::CompileLimit { limit, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(limit.contains(what), "{error}");
}

#[test]
fn compiling_is_ended_at_its_limits() {
    let usual = CompileLimits::default();
    let cpu = Duration::from_secs(1);
    hits(CompileLimits { cpu, ..usual }, "CPU time");
    let wall = Duration::from_millis(300);
    hits(CompileLimits { wall, ..usual }, "time");
    // Enough to begin with.
    let memory_bytes = 160 << 20;
    hits(
        CompileLimits {
            memory_bytes,
            ..usual
        },
        "memory",
    );
}

/// A program that runs a script in place of the compiler.
fn script(folder: &Path, script: &str) -> Compiler {
    let path = folder.join("compiler");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    Compiler::new(path, [] as [&str; 0])
}

#[test]
fn a_compiler_that_fails_in_any_way_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("exit 3", "exit status: 3"),
        ("kill -9 $$", "was killed"),
        ("kill -6 $$", "memory"),
        // A status that is none, an answer that is cut short, one that is no code, and one
        // that is longer than there can be.
        ("cat >/dev/null; printf 'x' >&0", "the compiler failed"),
        (
            "cat >/dev/null; printf '\\000\\004\\000\\000\\000\\000\\000\\000\\000ab' >&0",
            "exit status: 0",
        ),
        (
            "cat >/dev/null; printf '\\000\\004\\000\\000\\000\\000\\000\\000\\000abcd' >&0",
            "the compiler failed",
        ),
        (
            "cat >/dev/null; printf '\\000\\377\\377\\377\\377\\377\\377\\377\\377' >&0; sleep 100",
            "too large",
        ),
    ] {
        let engine = engine_with(script(folder.path(), text));
        let error = refusal(Processor::load(&engine, EXAMPLE_PROCESSOR)).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let engine = engine_with(Compiler::new("/nonexistent", [] as [&str; 0]));
    let error = refusal(Processor::load(&engine, EXAMPLE_PROCESSOR)).to_string();
    assert!(error.contains("/nonexistent cannot be started"), "{error}");
}

#[test]
fn the_compiler_gets_no_environment() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let text = format!("env > {}", seen.display());
    let engine = engine_with(script(folder.path(), &text));
    refusal(Processor::load(&engine, EXAMPLE_PROCESSOR));
    let seen = std::fs::read_to_string(seen).unwrap();
    // What the shell makes for itself.
    let own = ["PWD=", "SHLVL=", "_=", "OLDPWD="];
    let given: Vec<&str> = seen
        .lines()
        .filter(|line| !own.iter().any(|name| line.starts_with(name)))
        .collect();
    assert_eq!(given, [] as [&str; 0]);
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for path in [pipe.as_path(), Path::new("/dev/zero"), folder.path()] {
        let error = read_component(path).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
