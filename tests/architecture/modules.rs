//! The modules of a crate and what they use of each other, read from the source.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module's or an item's path in its crate, e.g. `["sql", "error"]`.
type Name = Vec<String>;

/// The modules of a crate. Tests inside of them do not count.
pub(crate) struct Modules {
    texts: BTreeMap<Name, String>,
    /// Item → the item that it stands for (`pub use`).
    re_exports: BTreeMap<Name, Name>,
    /// Macro → the module that defines it.
    macros: BTreeMap<String, Name>,
    /// Module → the modules that it uses.
    uses: BTreeMap<Name, BTreeSet<Name>>,
}

impl Modules {
    /// Reads the crate whose sources are in this folder.
    pub(crate) fn read(folder: &Path) -> Self {
        Self::of(super::rust_files(folder).into_iter().map(|file| {
            let path = file.strip_prefix(folder).unwrap().with_extension("");
            let path = path.to_str().unwrap().replace('/', "::");
            let is_root = path == "lib" || path == "main";
            (if is_root { String::new() } else { path }, fs::read_to_string(file).unwrap())
        }))
    }

    /// Reads these modules: name, text. A crate's root is the empty name.
    pub(crate) fn of(sources: impl Iterator<Item = (String, String)>) -> Self {
        let mut texts: BTreeMap<Name, String> = BTreeMap::new();
        for (module, text) in sources {
            texts.entry(names(&module)).or_default().push_str(&without_tests_and_comments(&text));
        }
        let mut all =
            Self { texts, re_exports: BTreeMap::new(), macros: BTreeMap::new(), uses: BTreeMap::new() };
        for (module, text) in &all.texts {
            for (_, statement) in statements(text, true) {
                for (path, name) in paths_of(statement) {
                    if let Some(path) = all.absolute(module, &path) {
                        let last = path.last().cloned().unwrap_or_default();
                        all.re_exports.insert([module.clone(), vec![name.unwrap_or(last)]].concat(), path);
                    }
                }
            }
            for (_, definition) in
                text.match_indices("macro_rules! ").map(|(at, it)| (at, &text[at + it.len()..]))
            {
                all.macros.insert(word(definition).to_owned(), module.clone());
            }
        }
        let uses =
            all.texts.iter().map(|(module, text)| (module.clone(), all.used_by(module, text))).collect();
        Self { uses, ..all }
    }

    /// Returns how many pairs of modules were found of which one uses the other.
    pub(crate) fn uses(&self) -> usize {
        self.uses.values().map(BTreeSet::len).sum()
    }

    /// Returns the circles among modules of the same parent, each as the uses that close it.
    ///
    /// A module counts together with those inside of it. Use between a module and its own parent
    /// is no circle.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let parents: BTreeSet<&[String]> =
            self.texts.keys().filter_map(|it| it.split_last()).map(|(_, parent)| parent).collect();
        parents.into_iter().flat_map(|parent| self.circles_in(parent)).collect()
    }

    fn circles_in(&self, parent: &[String]) -> Vec<Vec<String>> {
        let child = |name: &Name| name.strip_prefix(parent).and_then(|it| it.first().cloned());
        let mut steps: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (user, used) in self.uses.iter().flat_map(|(user, all)| all.iter().map(move |it| (user, it))) {
            match (child(user), child(used)) {
                (Some(from), Some(to)) if from != to => {
                    steps.entry((from, to)).or_default().push(user.join("::"));
                }
                _ => (),
            }
        }
        let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (from, to) in steps.keys() {
            reached.entry(from).or_default().insert(to);
        }
        loop {
            let size: usize = reached.values().map(BTreeSet::len).sum();
            for from in reached.keys().copied().collect::<Vec<_>>() {
                let next = reached[from].iter().filter_map(|it| reached.get(it)).flatten().copied();
                let next: Vec<&str> = next.collect();
                reached.entry(from).or_default().extend(next);
            }
            if size == reached.values().map(BTreeSet::len).sum::<usize>() {
                break;
            }
        }
        let closes = |from: &str, to: &str| reached.get(to).is_some_and(|it| it.contains(from));
        let mut circles: BTreeMap<BTreeSet<&str>, Vec<String>> = BTreeMap::new();
        for ((from, to), users) in steps.iter().filter(|((from, to), _)| closes(from, to)) {
            let members = reached[from.as_str()].iter().copied().filter(|it| closes(from, it)).collect();
            circles.entry(members).or_default().push(format!("{from} -> {to} in {}", users.join(", ")));
        }
        circles.into_values().collect()
    }

    fn used_by(&self, module: &Name, text: &str) -> BTreeSet<Name> {
        let in_statements = statements(text, false).into_iter().flat_map(|(_, it)| paths_of(it));
        let paths = in_statements.map(|(path, _)| path).chain(inline_paths(text));
        let mut used: BTreeSet<Name> = paths.filter_map(|path| self.module_of(module, &path)).collect();
        used.remove(module);
        used
    }

    /// Returns the module that defines what a path in another module names.
    fn module_of(&self, module: &Name, path: &[String]) -> Option<Name> {
        if let [root, name] = path
            && root == "crate"
            && let Some(defined) = self.macros.get(name)
        {
            return Some(defined.clone());
        }
        let mut path = self.absolute(module, path)?;
        // A re-export of a re-export of …
        for _ in 0..10 {
            let known = (1..=path.len()).rev().find(|end| self.texts.contains_key(&path[..*end]))?;
            let through = self.re_exports.get(path.get(..=known).unwrap_or_default());
            match through {
                Some(target) => path = [target, path.get(known + 1..).unwrap_or_default()].concat(),
                None => return Some(path[..known].to_vec()),
            }
        }
        None
    }

    /// Returns a path from the crate's root; `None` for one into another crate.
    fn absolute(&self, module: &Name, path: &[String]) -> Option<Name> {
        let (first, rest) = path.split_first()?;
        let upward = path.iter().take_while(|it| *it == "super").count();
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => Some([module.get(..module.len() - upward)?, &path[upward..]].concat()),
            child => {
                let child = [module.clone(), vec![child.to_owned()]].concat();
                self.texts.contains_key(&child).then(|| [child, rest.to_vec()].concat())
            }
        }
    }
}

fn names(path: &str) -> Name {
    path.split("::").map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()).collect()
}

fn word(text: &str) -> &str {
    text.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or_default()
}

fn without_tests_and_comments(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Returns the trees of the `use` statements, or of the public ones, and where they stand.
fn statements(text: &str, public: bool) -> Vec<(usize, &str)> {
    let found = text.match_indices("use ").filter(|(at, _)| {
        let before = text[..*at].rsplit(['\n', ';', '{', '}']).next().unwrap_or_default().trim();
        let is_public = before == "pub" || before.starts_with("pub(");
        is_public || (before.is_empty() && !public)
    });
    found.filter_map(|(at, it)| Some((at, text[at + it.len()..].split_once(';')?.0))).collect()
}

/// Returns the paths of a `use` tree, each with the name that it gets if that is another.
fn paths_of(tree: &str) -> Vec<(Name, Option<String>)> {
    let (mut depth, mut branches, mut branch) = (0, Vec::new(), String::new());
    for letter in tree.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(std::mem::take(&mut branch));
                continue;
            }
            _ => (),
        }
        branch.push(letter);
    }
    branches.push(branch);
    let mut paths = Vec::new();
    for branch in branches.iter().map(|it| it.trim()).filter(|it| !it.is_empty()) {
        if let Some((stem, leaves)) = branch.split_once('{') {
            let leaves = leaves.strip_suffix('}').unwrap_or(leaves);
            paths.extend(
                paths_of(leaves).into_iter().map(|(leaf, name)| ([names(stem), leaf].concat(), name)),
            );
            continue;
        }
        let (path, name) =
            branch.split_once(" as ").map_or((branch, None), |(path, name)| (path, Some(name)));
        let mut path = names(path);
        // `{self}` names the module, `*` what is in it.
        if path.len() > 1 || path == ["self"] {
            path.pop_if(|last| *last == "self" || *last == "*");
        }
        paths.push((path, name.map(|it| it.trim().to_owned())));
    }
    paths
}

/// Returns the paths of two names or more, wherever they stand.
fn inline_paths(text: &str) -> impl Iterator<Item = Name> {
    let of_path = |it: char| it.is_alphanumeric() || it == '_' || it == ':';
    let paths = text.split(move |it: char| !of_path(it)).filter(|it| it.contains("::"));
    paths.map(names).filter(|it| it.len() > 1)
}
