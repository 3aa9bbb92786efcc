//! The rules of the source that neither the compiler nor clippy knows.
//!
//! Each test reads the files and lists every place that breaks its rule. The last module shows on
//! small samples that the rules can find something.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One source file: its path from the top of the tree, and its lines.
struct Source {
    path: String,
    lines: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), lines: text.lines().map(str::to_owned).collect() }
    }

    fn ends_with(&self, suffix: &str) -> bool {
        self.path.ends_with(suffix)
    }

    /// The folder of `src` that the file belongs to: `evt` for `src/evt/name.rs`.
    fn folder(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split_once('/').map(|(folder, _)| folder)
    }

    /// The lines with their numbers from 1, without what a Rust comment says.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().map(|(index, line)| {
            let code = line.split_once("//").map_or(line.as_str(), |(code, _)| code);
            (index + 1, code)
        })
    }
}

/// Every source file of the tree, in any language.
fn sources() -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "src",
        "tests",
        "benches",
        "fuzz",
        "examples",
        "capi-tests",
        "include",
        "scripts",
        "bindings",
    ];
    let mut paths = Vec::new();
    for folder in folders {
        collect(&top.join(folder), &mut paths);
    }
    assert!(paths.len() > 10, "the source was not found below {}", top.display());
    paths.sort();
    paths
        .iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(path).ok()?;
            Some(Source::new(path.strip_prefix(top).ok()?.to_str()?, &text))
        })
        .collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // Built, written by programs, or measured on this machine.
        let is_foreign =
            ["target", "corpus", "results", "Cargo.lock"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_foreign {
            collect(&path, paths);
        } else if path.is_file() && !is_foreign {
            paths.push(path);
        }
    }
}

fn rust_sources() -> Vec<Source> {
    sources().into_iter().filter(|source| source.ends_with(".rs")).collect()
}

/// Fails with the list of what `rule` finds in `sources`: line numbers and what is wrong there.
fn assert_tidy(sources: &[Source], rule: impl Fn(&Source) -> Vec<(usize, String)>) {
    let mut report = String::new();
    for source in sources {
        for (line, what) in rule(source) {
            let _ = writeln!(report, "{}:{line}: {what}", source.path);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

fn too_long_lines(source: &Source) -> Vec<(usize, String)> {
    let is_long = |line: &&str| line.chars().count() > 100;
    let lines = source.lines.iter().enumerate();
    lines
        .filter(|(_, line)| is_long(&line.as_str()))
        .map(|(index, _)| (index + 1, "more than 100 columns".into()))
        .collect()
}

fn too_long_file(source: &Source) -> Vec<(usize, String)> {
    let lines = source.lines.len();
    if lines > 500 { vec![(lines, "more than 500 lines".into())] } else { Vec::new() }
}

/// Where a function begins: the line that ends it, as the formatters lay it out.
fn closing_line(source: &Source, line: &str, next: Option<&String>) -> Option<String> {
    if source.ends_with(".rs") {
        let declaration = line.trim_start();
        let is_function =
            declaration.split('(').next()?.split_whitespace().any(|word| word == "fn");
        let is_code = !declaration.starts_with("//") && !declaration.ends_with(';');
        return (is_function && is_code && !declaration.ends_with('}'))
            .then(|| format!("{}}}", &line[..line.len() - declaration.len()]));
    }
    let is_c = source.ends_with(".c") || source.ends_with(".h");
    let begins_in_c = is_c && next.is_some_and(|next| next == "{");
    let begins_in_shell = source.ends_with(".sh") && line.ends_with("() {");
    (begins_in_c || begins_in_shell).then(|| "}".into())
}

fn too_long_functions(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (start, line) in source.lines.iter().enumerate() {
        let Some(end) = closing_line(source, line, source.lines.get(start + 1)) else { continue };
        let rest = source.lines[start..].iter();
        // A declaration without a body ends in a semicolon before any such line.
        let length = rest.clone().position(|line| *line == end).map_or(0, |lines| lines + 1);
        if length > 70 {
            found.push((start + 1, format!("a function of {length} lines")));
        }
    }
    found
}

fn empty_names(source: &Source) -> Vec<(usize, String)> {
    // In two parts each, so that this list is not found itself.
    let words = [concat!("ut", "il"), concat!("hel", "per"), concat!("mana", "ger")];
    let says_nothing = |name: &str| words.iter().any(|word| name.to_lowercase().contains(word));
    let mut found = Vec::new();
    if says_nothing(&source.path) {
        found.push((1, "a file name that says nothing".into()));
    }
    for (line, code) in source.code() {
        let mut tokens = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        while let Some(token) = tokens.next() {
            let defines = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static"];
            if defines.contains(&token) && tokens.next().is_some_and(says_nothing) {
                found.push((line, "a name that says nothing".into()));
            }
        }
    }
    found
}

fn unfinished(source: &Source) -> Vec<(usize, String)> {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("db", "g!("),
    ];
    let is_marked = |line: &str| marks.iter().any(|mark| line.contains(mark));
    let lines = source.lines.iter().enumerate();
    lines
        .filter(|(_, line)| is_marked(line))
        .map(|(index, _)| (index + 1, "unfinished".into()))
        .collect()
}

/// Folders whose code may hold `unsafe`: the C boundary, system calls, shared memory.
const UNSAFE_FOLDERS: [&str; 3] = ["capi", "sys", "link"];

fn misplaced_unsafe(source: &Source) -> Vec<(usize, String)> {
    if !source.path.starts_with("src/")
        || source.folder().is_some_and(|folder| UNSAFE_FOLDERS.contains(&folder))
    {
        return Vec::new();
    }
    let says_unsafe = |code: &str| {
        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
    };
    source
        .code()
        .filter(|(_, code)| says_unsafe(code))
        .map(|(line, _)| (line, "unsafe outside capi, sys and link".into()))
        .collect()
}

/// What each folder of `src` may use of the others. What is not listed is forbidden.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("evt", &[]),
    ("sys", &["evt"]),
    ("wire", &["evt"]),
    ("transport", &["sys"]),
    ("link", &["evt", "wire", "sys"]),
    ("agent", &["link", "evt", "wire", "sys"]),
    ("policy", &["evt"]),
    ("node", &["link", "transport", "policy", "evt", "wire", "sys"]),
    ("capi", &["agent", "evt"]),
    ("api", &["agent", "evt", "sys"]),
    ("cli", &["api", "policy", "sys"]),
];

fn wrong_layer(source: &Source) -> Vec<(usize, String)> {
    let Some(folder) = source.folder().filter(|folder| *folder != "bin") else { return Vec::new() };
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == folder) else {
        return vec![(1, format!("the folder {folder} has no place among the layers"))];
    };
    let mut found = Vec::new();
    for (line, code) in source.code() {
        // A folder that belongs to a program uses the library by its name.
        let own = code.match_indices("crate::").chain(code.match_indices("SaEvt::"));
        for (position, name) in own {
            let used = &code[position + name.len()..];
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let used = used.unwrap_or_default();
            let is_folder = MAY_USE.iter().any(|(other, _)| *other == used);
            if is_folder && used != folder && !allowed.contains(&used) {
                found.push((line, format!("{folder} may not use {used}")));
            }
        }
    }
    found
}

fn impure(source: &Source) -> Vec<(usize, String)> {
    const OUTSIDE: [&str; 10] = [
        "std::io",
        "std::fs",
        "std::net",
        "std::os",
        "std::env",
        "std::time",
        "std::thread",
        "std::process",
        "libc::",
        "nix::",
    ];
    if !matches!(source.folder(), Some("evt" | "wire")) {
        return Vec::new();
    }
    let reaches_out = |code: &str| OUTSIDE.iter().any(|path| code.contains(path));
    source
        .code()
        .filter(|(_, code)| reaches_out(code))
        .map(|(line, _)| (line, "evt and wire are pure".into()))
        .collect()
}

/// Folders that become part of the library in a program, which must not print.
const SILENT_FOLDERS: [&str; 7] = ["capi", "api", "agent", "link", "evt", "wire", "sys"];

fn talkative(source: &Source) -> Vec<(usize, String)> {
    if !source.folder().is_some_and(|folder| SILENT_FOLDERS.contains(&folder)) {
        return Vec::new();
    }
    let prints = |code: &str| ["print!(", "println!("].iter().any(|name| code.contains(name));
    source
        .code()
        .filter(|(_, code)| prints(code))
        .map(|(line, _)| (line, "the library prints nothing".into()))
        .collect()
}

#[test]
fn no_line_is_longer_than_100_columns() {
    assert_tidy(&sources(), too_long_lines);
}

#[test]
fn no_file_is_longer_than_500_lines() {
    assert_tidy(&sources(), too_long_file);
}

#[test]
fn no_function_is_longer_than_70_lines() {
    assert_tidy(&sources(), too_long_functions);
}

#[test]
fn names_say_what_a_thing_is() {
    assert_tidy(&rust_sources(), empty_names);
}

#[test]
fn nothing_is_left_unfinished() {
    assert_tidy(&sources(), unfinished);
}

#[test]
fn unsafe_stays_at_the_edges() {
    assert_tidy(&rust_sources(), misplaced_unsafe);
}

#[test]
fn folders_use_only_what_lies_below_them() {
    assert_tidy(&rust_sources(), wrong_layer);
}

#[test]
fn semantics_and_messages_are_pure() {
    assert_tidy(&rust_sources(), impure);
    for folder in ["evt", "wire"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder).join("mod.rs");
        let text = std::fs::read_to_string(&path).expect("the folder has a mod.rs");
        let forbids = text.lines().any(|line| line == "#![forbid(unsafe_code)]");
        assert!(forbids, "{} does not forbid unsafe code", path.display());
    }
}

#[test]
fn the_library_prints_nothing() {
    assert_tidy(&rust_sources(), talkative);
}

mod the_rules_find_what_they_look_for {
    use super::*;

    fn lines_of(found: Vec<(usize, String)>) -> Vec<usize> {
        found.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn functions_are_measured_in_each_language() {
        let body = "x\n".repeat(69);
        let rust = Source::new("src/a.rs", &format!("mod m {{\n    fn f() {{\n{body}    }}\n}}"));
        let c = Source::new("a.c", &format!("int f(void)\n{{\n{body}}}"));
        let shell = Source::new("a.sh", &format!("f() {{\n{body}}}"));
        let short = Source::new("src/a.rs", "fn f() {\n}\n");
        assert_eq!(lines_of(too_long_functions(&rust)), [2]);
        assert_eq!(lines_of(too_long_functions(&c)), [1]);
        assert_eq!(lines_of(too_long_functions(&shell)), [1]);
        assert_eq!(lines_of(too_long_functions(&short)), []);
    }

    #[test]
    fn lines_and_files_are_measured() {
        let long = Source::new("a.c", &"x".repeat(101));
        let high = Source::new("a.c", &"x\n".repeat(501));
        assert_eq!(lines_of(too_long_lines(&long)), [1]);
        assert_eq!(lines_of(too_long_file(&high)), [501]);
    }

    #[test]
    fn layers_are_read_from_paths_in_code() {
        let text = "use crate::evt::Name;\nuse crate::node::Loop; // crate::link";
        assert_eq!(lines_of(wrong_layer(&Source::new("src/capi/a.rs", text))), [2]);
        assert_eq!(lines_of(wrong_layer(&Source::new("src/evt/a.rs", text))), [2]);
        assert_eq!(lines_of(wrong_layer(&Source::new("src/new/a.rs", text))), [1]);
        let text = "use SaEvt::api::Name;\nuse SaEvt::node::Loop;";
        assert_eq!(lines_of(wrong_layer(&Source::new("src/cli/a.rs", text))), [2]);
    }

    #[test]
    fn words_are_found_in_code_and_not_in_comments() {
        let text = "// unsafe std::io\nunsafe { std::io::f() }\nprintln!(\"\");";
        assert_eq!(lines_of(misplaced_unsafe(&Source::new("src/evt/a.rs", text))), [2]);
        assert_eq!(lines_of(misplaced_unsafe(&Source::new("src/sys/a.rs", text))), []);
        assert_eq!(lines_of(impure(&Source::new("src/wire/a.rs", text))), [2]);
        assert_eq!(lines_of(impure(&Source::new("src/node/a.rs", text))), []);
        assert_eq!(lines_of(talkative(&Source::new("src/agent/a.rs", text))), [3]);
        assert_eq!(lines_of(talkative(&Source::new("src/cli/a.rs", text))), []);
    }

    #[test]
    fn marks_and_names_are_found() {
        let mark = Source::new("a.c", concat!("/* TO", "DO */\nint x;"));
        let name = Source::new("src/a.rs", concat!("fn a() {}\nstruct Mana", "ger;"));
        assert_eq!(lines_of(unfinished(&mark)), [1]);
        assert_eq!(lines_of(empty_names(&name)), [2]);
    }
}
