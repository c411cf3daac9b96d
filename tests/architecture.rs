//! The house's rules that a compiler does not keep: modules import only what stands above them in `lib.rs`, each file says what it
//! owns, and none grows past what one responsibility needs.

use std::fs;
use std::ops::Not;
use std::path::{Path, PathBuf};

/// Longer than this a file holds more than one responsibility.
const LONGEST_FILE: usize = 600;

/// Files that are compiled for tests alone: `#[cfg(test)] mod NAME;` somewhere beside or above them.
fn is_test_code(file: &Path) -> bool {
    let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let folder = file.parent().unwrap_or(file);
    let parents = [folder.with_extension("rs"), folder.join("lib.rs")];
    let declared = parents
        .iter()
        .filter_map(|parent| fs::read_to_string(parent).ok())
        .any(|text| {
            let code: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
            code.contains(&format!("#[cfg(test)] mod {name};"))
                || code.contains(&format!("#[cfg(test)] pub mod {name};"))
        });
    declared || (folder.ends_with("src").not() && folder != file && is_test_code_folder(folder))
}

/// Everything below a folder whose own module is for tests is for tests.
fn is_test_code_folder(folder: &Path) -> bool {
    !folder.ends_with("src") && is_test_code(&folder.with_extension("rs"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)
        .expect("a source folder")
        .map(|e| e.expect("an entry").path())
    {
        if entry.is_dir() {
            files.extend(rust_files(&entry));
        } else if entry.extension().is_some_and(|e| e == "rs") {
            files.push(entry);
        }
    }
    files.sort();
    files
}

/// The modules of `lib.rs`, in its order.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let names = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// `energy` for `src/energy.rs` and everything in `src/energy/`.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

/// Every `crate::NAME` a file mentions outside comments, grouped imports included.
fn imports(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    c if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            found.push(word);
        } else {
            found.push(rest.to_owned());
        }
    }
    let name = |path: String| {
        path.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<String>()
    };
    found.into_iter().map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_file_imports_only_modules_above_its_own() {
    let order = modules();
    assert!(order.len() >= 10, "lib.rs lists the modules: {order:?}");
    let rank = |name: &str| order.iter().position(|m| m == name);
    let mut wrong = Vec::new();
    for file in rust_files(&root().join("src")) {
        let Some(own) = module_of(&file).and_then(|m| rank(&m)) else {
            continue;
        };
        for import in imports(&fs::read_to_string(&file).expect("a source file")) {
            if let Some(other) = rank(&import).filter(|&other| other > own) {
                wrong.push(format!("{} ({}) imports {}", file.display(), order[own], order[other]));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "imports against the flow of data:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn neighbours_that_must_not_know_each_other_do_not() {
    // (module, what it never imports although it stands above)
    let never = [
        ("recording", "sensors"),
        ("recording", "sampler"),
        ("energy", "recording"),
        ("energy", "sensors"),
        ("report", "recording"),
    ];
    let mut wrong = Vec::new();
    for file in rust_files(&root().join("src")) {
        let own = module_of(&file).unwrap_or_default();
        for import in imports(&fs::read_to_string(&file).expect("a source file")) {
            if never.contains(&(own.as_str(), import.as_str())) {
                wrong.push(format!("{} imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_recording_speaks_hdf5_and_only_sensors_speak_nvml() {
    let mut wrong = Vec::new();
    for file in rust_files(&root().join("src")) {
        let text = fs::read_to_string(&file).expect("a source file");
        let own = module_of(&file).unwrap_or_default();
        for (word, home) in [
            ("hdf5::", "recording"),
            ("nvml_wrapper", "sensors"),
            ("plotters::", "report"),
        ] {
            if own != home && text.contains(word) {
                wrong.push(format!("{} mentions {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_owns_and_stays_small() {
    let mut wrong = Vec::new();
    for folder in [
        "src",
        "adapters/markers/src",
        "adapters/lcbench/src",
        "tests/fake-nvml/src",
    ] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).expect("a source file");
            if !text.starts_with("//!") {
                wrong.push(format!("{}: does not open with //!", file.display()));
            }
            if text.lines().count() > LONGEST_FILE {
                wrong.push(format!("{}: {} lines", file.display(), text.lines().count()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn product_code_does_not_unwrap() {
    let mut wrong = Vec::new();
    for file in rust_files(&root().join("src"))
        .into_iter()
        .filter(|file| !is_test_code(file))
    {
        let text = fs::read_to_string(&file).expect("a source file");
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in product.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains(".unwrap()") || code.contains(".expect(\"") {
                wrong.push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "unwrap outside tests:\n{}", wrong.join("\n"));
}
