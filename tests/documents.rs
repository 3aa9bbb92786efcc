//! The documents say what is the case: function table, configuration keys, names of tests, paths.

use SaEvt::node::config::{Config, LIMIT_KEYS};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between backquotes in a text, outside blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block && !line.starts_with("    ") {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// The functions that the public headers declare.
fn functions() -> BTreeSet<String> {
    let headers = read("include/saAis.h") + &read("include/saEvt.h");
    let declared = headers.lines().filter_map(|line| line.strip_prefix("extern "));
    declared
        .filter_map(|line| line.split_once('(')?.0.split_whitespace().last())
        .map(|name| name.trim_start_matches('*').to_owned())
        .collect()
}

#[test]
fn the_readme_has_one_row_for_each_function_and_names_its_test_program() {
    let readme = read("README.md");
    let rows = readme.lines().filter(|line| line.starts_with("| `sa"));
    let mut listed = BTreeSet::new();
    for row in rows {
        let [function, program] = quoted(row)[..] else { panic!("{row}") };
        assert!(listed.insert(function.to_owned()), "two rows for {function}");
        let source = read(&format!("capi-tests/{program}"));
        assert!(source.contains(&format!("{function}(")), "{program} never calls {function}");
    }
    assert_eq!(listed, functions());
    assert_eq!(listed.len(), 21);
}

fn is_key(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Key and default of each key that a text shows on a line of its own, behind `mark`.
fn keys(text: &str, mark: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(mark));
    lines
        .map(|line| line.split_once(" = ").unwrap_or((line, "")))
        .filter(|(key, _)| is_key(key))
        .map(|(key, value)| (key.to_owned(), value.replace("\\(dq", "\"")))
        .collect()
}

/// The keys that the daemon's source takes.
fn keys_of_source() -> BTreeSet<String> {
    let source = read("src/node/config.rs") + &read("src/node/cluster_config.rs");
    let fields = source.lines().filter_map(|line| line.trim().split_once(": Option<"));
    let fields = fields.map(|(key, _)| key.to_owned()).filter(|key| is_key(key));
    fields.chain(LIMIT_KEYS.iter().map(|key| (*key).to_owned())).collect()
}

/// The example itself is held against the daemon's defaults where these are.
#[test]
fn the_manual_page_of_the_configuration_has_every_key_with_its_default() {
    let example = keys(&read("packaging/saevtd.conf"), "#");
    let mut page = keys(&read("packaging/man/saevtd.conf.5"), ".B ");
    let in_source: BTreeSet<_> = keys_of_source().into_iter().collect();
    assert_eq!(page.keys().cloned().collect::<BTreeSet<_>>(), in_source);
    // The keys without a default; the example shows a value for them.
    for (key, shown) in [("idle_exit_seconds", "600.0"), ("listen", "\"127.0.0.1:9464\"")] {
        assert_eq!(page.insert(key.into(), shown.into()).as_deref(), Some(""), "{key}");
    }
    assert_eq!(page, example);
}

#[test]
fn the_examples_in_the_manual_page_are_good_configurations() {
    let page = read("packaging/man/saevtd.conf.5");
    let examples = page.split(".EX\n").skip(1).map(|rest| rest.split(".EE\n").next().unwrap());
    let configs: Vec<_> = examples.map(|example| Config::parse(example).unwrap()).collect();
    let [sizes, policy] = &configs[..] else { panic!("{}", configs.len()) };
    assert_eq!((sizes.socket_mode, sizes.limits.event_bytes_max), (0o666, 1 << 20));
    assert_eq!((policy.policy.len(), &sizes.policy), (3, &Config::default().policy));
}

#[test]
fn the_pages_of_daemon_and_configuration_are_set_without_a_warning() {
    if Command::new("groff").arg("--version").output().is_err() {
        println!("skip: there is no groff");
        return;
    }
    let pages = ["saevtd.conf.5", "saevtd.8", "ocf_saevt_saevtd.7"];
    let pages = pages.map(|page| repository(&format!("packaging/man/{page}")));
    let output = Command::new("groff").args(["-man", "-ww", "-z"]).args(pages).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn the_manual_page_of_the_resource_agent_has_every_parameter_and_action() {
    let page = read("packaging/man/ocf_saevt_saevtd.7").replace('\\', "");
    let section = |name: &str| {
        let (_, rest) = page.split_once(&format!(".SH {name}\n")).unwrap();
        let items = rest.split(".SH ").next().unwrap().split(".TP\n.B ").skip(1);
        items.map(|item| item.lines().next().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let agent = read("packaging/ocf/saevtd.in");
    let words = |mark: &str, end: char| {
        let lines = agent.lines().filter_map(|line| line.trim().strip_prefix(mark));
        lines.map(|line| line.split(end).next().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let mut parameters = words("parameter ", ' ');
    assert_eq!(section("PARAMETERS"), parameters);
    parameters.retain(|name| !agent.contains(&format!("OCF_RESKEY_{name}")));
    assert_eq!(parameters, BTreeSet::new(), "they are read");
    assert_eq!(section("ACTIONS"), words("<action name=\"", '"'));
}

#[test]
fn the_manual_page_of_the_daemon_has_every_option_and_variable() {
    let page = read("packaging/man/saevtd.8").replace('\\', "");
    let shown = read("src/bin/saevtd.rs");
    let fields = shown.split_once("struct Arguments {").unwrap().1.split_once("\n}").unwrap().0;
    let mut lines =
        fields.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("///"));
    let mut options = 0;
    while let Some(attribute) = lines.next() {
        let name = lines.next().and_then(|field| field.split_once(':')).unwrap().0;
        let option = format!("--{}", name.replace('_', "-"));
        let hidden = attribute.contains("hide = true");
        assert_eq!(page.contains(&option), !hidden, "{option}");
        options += 1;
    }
    assert_eq!(options, 6);
    for part in read("src/agent/place.rs").split("\"SAEVT_").skip(1) {
        let name = format!("SAEVT_{}", part.split_once('"').unwrap().0);
        assert!(page.contains(&name) || name == "SAEVT_PREFIX", "{name}");
    }
}

/// Every file of the tree that is source or test, as one text.
fn tree() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else if let Ok(content) = std::fs::read_to_string(&path) {
                text.push_str(&content);
            }
        }
    }
    let mut text = String::new();
    for folder in ["src", "tests", "capi-tests"] {
        collect(&repository(folder), &mut text);
    }
    text
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let architecture = read("ARCHITECTURE.md");
    let tree = tree();
    let mut named = 0;
    for name in quoted(&architecture) {
        // Names of tests are sentences; nothing else in the document has four words.
        let words = name.split('_').count();
        if words < 4
            || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            continue;
        }
        let exists = tree.contains(&format!("fn {name}("))
            || tree.contains(&format!("\nstatic void {name}("))
            // A row in the tables of the loopback tests.
            || tree.contains(&format!("(\"{name}\", "));
        assert!(exists, "there is no test {name}");
        named += 1;
    }
    assert!(named > 30, "only {named} tests are named");
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut paths = 0;
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = read(document);
        for name in quoted(&text) {
            let top = name.split('/').next().unwrap_or_default();
            let of_ours =
                ["src", "tests", "capi-tests", "include", "examples", "packaging", "scripts"];
            if name.contains(['/']) && of_ours.contains(&top) && !name.contains([' ', '*', '<']) {
                assert!(repository(name).exists(), "{document} names {name}");
                paths += 1;
            }
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            assert!(repository(link.0).exists(), "{document} links to {}", link.0);
            paths += 1;
        }
    }
    for guide in ["getting-started.md", "migration.md", "operations.md", "schemas.md"] {
        let text = read(&format!("docs/{guide}"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            assert!(repository("docs").join(link.0).exists(), "{guide} links to {}", link.0);
        }
    }
    assert!(paths > 20, "only {paths} paths were found");
}
