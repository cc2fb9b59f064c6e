//! What is refused before it runs.

use watchbell_guest_build::component_beside;
use watchbell_sandbox::{Cache, Encoder, Engine, LoadError, Pool, Processor, Source};
use watchbell_tests::{ENGINE, EXAMPLE_PROCESSOR, HOSTILE_PROCESSOR};

/// A component that imports one function and exports nothing.
fn importing(interface: &str, function: &str) -> Vec<u8> {
    let text = format!(
        "(component (import \"{interface}\" (instance (export \"{function}\" (func (result u64))))))"
    );
    wat::parse_str(text).unwrap()
}

fn refused<T>(loaded: Result<T, LoadError>) -> String {
    loaded.err().unwrap().to_string()
}

/// As a source, a processor and an encoder.
#[track_caller]
fn refused_by_name(import: &str, function: &str) {
    let component = importing(import, function);
    for words in [
        refused(Source::load(&ENGINE, &component)),
        refused(Processor::load(&ENGINE, &component)),
        refused(Encoder::load(&ENGINE, &component)),
    ] {
        assert!(words.contains(import), "{words}");
        assert!(words.contains("examples/processor"), "{words}");
    }
}

#[test]
fn who_wants_the_environment_is_refused() {
    refused_by_name("wasi:cli/environment@0.2.0", "get-environment");
}

#[test]
fn who_wants_files_is_refused() {
    refused_by_name("wasi:filesystem/preopens@0.2.0", "get-directories");
}

#[test]
fn who_wants_the_clock_is_refused() {
    refused_by_name("wasi:clocks/wall-clock@0.2.0", "now");
    refused_by_name("wasi:clocks/monotonic-clock@0.2.0", "now");
}

#[test]
fn who_wants_random_numbers_is_refused() {
    refused_by_name("wasi:random/random@0.2.0", "get-random-u64");
}

#[test]
fn who_wants_sockets_or_the_log_is_refused() {
    refused_by_name("wasi:sockets/tcp-create-socket@0.2.0", "create-tcp-socket");
    refused_by_name("wasi:cli/stdout@0.2.0", "get-stdout");
    // Lookalikes of what a source has.
    refused_by_name("wasi:http/incoming-handler@0.2.0", "handle");
    refused_by_name("wasi:http/types-more@0.2.0", "x");
}

#[test]
fn a_processor_has_no_network() {
    let component = importing("wasi:http/types@0.2.0", "x");
    let words = refused(Processor::load(&ENGINE, &component));
    assert!(words.contains("wasi:http/types@0.2.0"), "{words}");
}

#[test]
fn who_exports_nothing_or_the_wrong_types_is_refused() {
    let empty = wat::parse_str("(component)").unwrap();
    let wrong = wat::parse_str(
        r#"(component
            (core module $m (func (export "f") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func $f (result u32) (canon lift (core func $i "f")))
            (instance $processor (export "check" (func $f)) (export "process" (func $f)))
            (export "watchbell:detections/processor@0.1.0" (instance $processor)))"#,
    )
    .unwrap();
    for component in [empty, wrong] {
        let words = refused(Processor::load(&ENGINE, &component));
        assert!(words.contains("is no alert-processor"), "{words}");
    }
    let words = refused(Source::load(&ENGINE, HOSTILE_PROCESSOR));
    assert!(words.contains("is no defender-source"), "{words}");
}

#[test]
fn further_exports_are_ignored() {
    let module = r#"
        (module
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
          (func (export "extra") (result i32) i32.const 7)
          (func (export "watchbell:detections/processor@0.1.0#check")
            (param i32 i32) (result i32) i32.const 16)
          (func (export "watchbell:detections/processor@0.1.0#process")
            (param i32 i32 i32 i32) (result i32) i32.const 16))
    "#;
    let extended = "package test:test;
        world extended {
            include watchbell:detections/alert-processor@0.1.0;
            export extra: func() -> u32;
        }";
    let component = component_beside(module, "extended", Some(extended)).unwrap();
    Processor::load(&ENGINE, &component).unwrap();
}

/// A processor whose module has these parts beside what its world wants.
fn processor_with(parts: &str) -> Vec<u8> {
    let module = format!(
        r#"(module {parts}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "watchbell:detections/processor@0.1.0#check")
              (param i32 i32) (result i32) i32.const 16)
            (func (export "watchbell:detections/processor@0.1.0#process")
              (param i32 i32 i32 i32) (result i32) i32.const 16))"#
    );
    component_beside(&module, "watchbell:detections/alert-processor@0.1.0", None).unwrap()
}

#[test]
fn a_start_function_that_never_ends_is_stopped() {
    let component = processor_with(
        r#"(memory (export "memory") 1) (func $f (loop $again (br $again))) (start $f)"#,
    );
    let words = refused(Processor::load(&ENGINE, &component));
    assert!(words.contains("CPU time: 5s"), "{words}");
}

#[test]
fn a_memory_that_is_too_large_from_the_start_is_refused() {
    let component = processor_with(r#"(memory (export "memory") 8192)"#);
    let words = refused(Processor::load(&ENGINE, &component));
    assert!(
        words.contains("memory: 268435456 bytes (limits.max_memory_bytes)"),
        "{words}"
    );
}

#[test]
fn too_many_memories_tables_or_instances_are_refused() {
    let many = |part: &str, count| part.repeat(count);
    for (parts, instances, what) in [
        ("(memory 1)".to_owned(), 3, "memories"),
        (many("(table 1 funcref)", 9), 1, "tables"),
        (String::new(), 9, "core module instances"),
    ] {
        let instances = many("(core instance (instantiate $m))", instances);
        let text = format!("(component (core module $m {parts}) {instances})");
        let words = refused(Processor::load(&ENGINE, &wat::parse_str(text).unwrap()));
        assert!(words.contains(what) && words.contains("exceeds"), "{words}");
    }
}

#[test]
fn a_components_own_text_in_a_refusal_is_escaped_and_cut() {
    // The name of a core import is any text, and wasmparser repeats it.
    let name = format!("\\1b]0;owned\\0d\\0aERROR{}", "x".repeat(5000));
    let text = format!(
        r#"(component (core module $m (import "{name}" "f" (func)))
            (core instance (instantiate $m)))"#
    );
    let words = refused(Processor::load(&ENGINE, &wat::parse_str(text).unwrap()));
    assert!(words.contains("owned"), "{words}");
    assert!(!words.chars().any(char::is_control), "{words:?}");
    assert!(words.len() < 1000, "{}", words.len());
}

#[test]
fn what_is_no_component_is_refused() {
    let mut cut = EXAMPLE_PROCESSOR.to_vec();
    cut.truncate(cut.len() / 2);
    let mut turned = EXAMPLE_PROCESSOR.to_vec();
    for byte in turned.iter_mut().skip(16).step_by(97) {
        *byte ^= 0x55;
    }
    let module = wat::parse_str("(module)").unwrap();
    for bytes in [
        &b""[..],
        b"\0asm",
        b"not wasm at all",
        &cut,
        &turned,
        &module,
    ] {
        let words = refused(Processor::load(&ENGINE, bytes));
        assert!(words.contains("not a WebAssembly component"), "{words}");
    }
}

#[tokio::test]
async fn compiled_code_of_one_component_never_passes_for_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let other = processor_with(r#"(memory (export "memory") 1)"#);
    let load = |bytes: &[u8]| {
        let cache = Cache::open(&folder.path().join("compiled")).unwrap();
        let engine = Engine::new(Pool::OneShot, Some(cache)).unwrap();
        Processor::load(&engine, bytes).unwrap()
    };
    let kept = || {
        let files = std::fs::read_dir(folder.path().join("compiled")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|e| e == "cwasm"))
            .collect::<Vec<_>>()
    };
    load(EXAMPLE_PROCESSOR);
    let one = kept().pop().unwrap();
    load(&other);
    let two = kept().into_iter().find(|path| *path != one).unwrap();
    // Both are good, each under the other's name.
    let aside = folder.path().join("aside");
    std::fs::rename(&one, &aside).unwrap();
    std::fs::rename(&two, &one).unwrap();
    std::fs::rename(&aside, &two).unwrap();
    let swapped = std::fs::read(&one).unwrap();
    // The example refuses an option that it does not know; the other takes anything.
    let options = vec![("nonsense".to_owned(), String::new())];
    let limits = watchbell_sandbox::Limits::for_plugin();
    let checked = load(EXAMPLE_PROCESSOR).check(&options, &limits).await;
    assert!(checked.unwrap().is_err());
    assert_ne!(std::fs::read(&one).unwrap(), swapped, "written anew");
}

#[tokio::test]
async fn compiled_code_that_was_tampered_with_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let load = || {
        let cache = Cache::open(&folder.path().join("compiled")).unwrap();
        let engine = Engine::new(Pool::OneShot, Some(cache)).unwrap();
        Processor::load(&engine, EXAMPLE_PROCESSOR).unwrap()
    };
    load();
    let kept = || {
        let files = std::fs::read_dir(folder.path().join("compiled")).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        files.find(|path| path.extension().is_some_and(|e| e == "cwasm"))
    };
    let path = kept().unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in [0, 40, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let options = vec![("at_least".to_owned(), "high".to_owned())];
        let limits = watchbell_sandbox::Limits::for_plugin();
        let checked = load().check(&options, &limits).await.unwrap();
        assert!(checked.is_ok());
        assert_eq!(std::fs::read(&path).unwrap().len(), whole.len());
        assert_ne!(std::fs::read(&path).unwrap(), changed, "written anew");
    }
}
