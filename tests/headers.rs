//! The public headers: what they promise is what `src/capi` defines, in every language they serve.

use SaEvt::capi::types;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The functions of the Event Service.
const FUNCTIONS: usize = 19;
/// The functions for extended names.
const NAME_FUNCTIONS: usize = 2;
/// Both kinds of `SaNameT`.
const KINDS: [&[&str]; 2] = [&[], &["-DSA_EXTENDED_NAME_SOURCE"]];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

fn headers() -> String {
    read("include/saAis.h") + &read("include/saEvt.h")
}

/// Compiles a file without making anything, all warnings being errors.
fn compile(compiler: &str, options: &[&str], file: &Path) -> std::io::Result<Output> {
    Command::new(compiler)
        .args(["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-long-long"])
        .args(options)
        .arg("-I")
        .arg(repository("include"))
        .arg(file)
        .output()
}

fn accepts(compiler: &str, options: &[&str], file: &Path) {
    let output = compile(compiler, options, file).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} {options:?}: {said}");
}

/// A C file with this text, in the place that Cargo sets aside for tests.
fn written(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Prototypes of every C function, as cbindgen reads them from the Rust source.
fn prototypes() -> String {
    let config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Type,
        no_includes: true,
        documentation: false,
        export: cbindgen::ExportConfig {
            item_types: vec![cbindgen::ItemType::Functions],
            ..Default::default()
        },
        ..Default::default()
    };
    let source = repository("src/capi/mod.rs"); // cbindgen follows the modules it names.
    let builder = cbindgen::Builder::new().with_config(config).with_src(source);
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
}

/// A function as a header declares it.
struct Declared {
    name: String,
    parameters: Vec<String>,
    comment: String,
}

/// The functions that a header declares, each with the comment that stands before it.
fn declared(header: &str) -> Vec<Declared> {
    let mut functions = Vec::new();
    let last_word = |text: &str| text.rsplit([' ', '*']).next().unwrap().to_owned();
    for (start, _) in header.match_indices("extern Sa").chain(header.match_indices("extern void")) {
        let declaration = header[start..].split(';').next().unwrap();
        let (head, tail) = declaration.split_once('(').unwrap();
        let comment = match header[..start].trim_end().strip_suffix("*/") {
            Some(text) => text.rsplit("/**").next().unwrap().to_owned(),
            None => String::new(),
        };
        let parameters = tail.trim_end_matches(')').split(',').map(last_word).collect();
        functions.push(Declared { name: last_word(head), parameters, comment });
    }
    functions
}

#[test]
fn the_headers_compile_without_a_warning_in_every_language() {
    let program = repository("tests/headers/program.c");
    for kind in KINDS {
        for standard in ["-std=c89", "-std=c99", "-std=c11"] {
            accepts("cc", &[kind, &[standard]].concat(), &program);
        }
        if Command::new("g++").arg("--version").output().is_err() {
            println!("skip: C++, as there is no g++");
            continue;
        }
        for standard in ["-std=c++11", "-std=c++20"] {
            accepts("g++", &[kind, &["-x", "c++", standard]].concat(), &program);
        }
    }
}

#[test]
fn prototypes_from_the_source_agree_with_the_headers() {
    let prototypes = prototypes();
    let names = |header: &str| {
        let mut names: Vec<_> = declared(header).into_iter().map(|found| found.name).collect();
        names.sort();
        names
    };
    let public = names(&headers());
    assert_eq!(names(&format!("extern {}", prototypes.replace("\n\n", "\n\nextern "))), public);
    assert_eq!(public.len(), FUNCTIONS + NAME_FUNCTIONS);
    for kind in KINDS {
        let file = written("agree.c", &format!("#include <saEvt.h>\n{prototypes}"));
        accepts("cc", &[kind, &["-std=c11"]].concat(), &file);
    }
}

#[test]
fn a_prototype_that_differs_would_be_noticed() {
    let prototypes = prototypes();
    for (from, to) in [
        ("SaTimeT timeout", "SaSizeT timeout"),
        ("const SaNameT *channelName", "SaNameT *channelName"),
        ("SaSizeT *eventDataSize", "SaSizeT eventDataSize"),
    ] {
        let differing = prototypes.replace(from, to);
        assert_ne!(differing, prototypes);
        let file = written("differ.c", &format!("#include <saEvt.h>\n{differing}"));
        let output = compile("cc", &["-std=c11"], &file).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("conflicting types"), "{from}: {said}");
    }
}

#[test]
fn constants_of_the_source_have_the_values_of_the_headers() {
    let mut text = String::from("#include <saEvt.h>\n");
    for (name, value) in types::CONSTANTS {
        writeln!(text, "_Static_assert({name} == {value}, \"{name}\");").unwrap();
    }
    accepts("cc", &["-std=c11"], &written("constants.c", &text));
}

#[test]
fn plain_types_of_the_source_are_those_of_the_headers() {
    let mut text = String::from("#include <saEvt.h>\n");
    macro_rules! same {
        ($($name:ident),*) => {$(
            let (name, bytes) = (stringify!($name), size_of::<types::$name>());
            let sign = if types::$name::MIN == 0 { '>' } else { '<' };
            writeln!(text, "_Static_assert(sizeof({name}) == {bytes}, \"{name}\");").unwrap();
            writeln!(text, "_Static_assert(({name})-1 {sign} 0, \"{name}\");").unwrap();
        )*};
    }
    same!(SaAisErrorT, SaTimeT, SaSizeT, SaInvocationT, SaSelectionObjectT, SaDispatchFlagsT);
    same!(SaEvtHandleT, SaEvtChannelHandleT, SaEvtEventHandleT, SaEvtSubscriptionIdT);
    same!(SaEvtEventIdT, SaEvtChannelOpenFlagsT, SaEvtEventPriorityT, SaEvtEventFilterTypeT);
    same!(SaEvtLimitIdT);
    accepts("cc", &["-std=c11"], &written("plain.c", &text));
}

#[test]
fn the_headers_have_the_values_and_the_layout_that_programs_rely_on() {
    for kind in KINDS {
        let options = [kind, &["-std=c11"]].concat();
        accepts("cc", &options, &repository("tests/headers/layout.c"));
    }
}

#[test]
fn no_constant_is_left_out_of_the_layout_test() {
    let layout = read("tests/headers/layout.c");
    let mut seen = 0;
    for line in headers().lines() {
        let line = line.trim_start();
        let name = match line.strip_prefix("#define ") {
            Some(rest) => rest.split(' ').next().unwrap(),
            None => match line.split_once(" = ") {
                Some((name, _)) => name,
                None => continue,
            },
        };
        if name.starts_with("SA_") {
            seen += 1;
            let asserted = layout.lines().any(|line| {
                line.starts_with("VALUE(") && line.contains(&format!("{name}, "))
                    || line.starts_with(&format!("VALUE(sizeof({name})"))
            });
            assert!(asserted, "{name}");
        }
    }
    assert!(seen > 90, "{seen}");
}

#[test]
fn every_function_is_documented_where_it_is_declared() {
    let headers = headers();
    let functions = declared(&headers);
    assert_eq!(functions.len(), FUNCTIONS + NAME_FUNCTIONS);
    for Declared { name, parameters, comment } in functions {
        assert!(comment.trim_start().starts_with("* "), "{name} has no summary");
        for parameter in &parameters {
            assert!(comment.contains(&format!("@param {parameter} ")), "{name}: {parameter}");
        }
        assert_eq!(comment.matches("@param").count(), parameters.len(), "{name}");
        for code in comment.split("@retval ").skip(1) {
            let code = code.split_whitespace().next().unwrap();
            assert!(headers.contains(&format!("    {code} = ")), "{name}: {code}");
        }
    }
}
