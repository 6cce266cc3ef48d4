//! Renders a guide's Markdown as HTML without scripts or inline styles.

use std::collections::BTreeSet;

use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html::push_html,
};

/// A guide as HTML, with what the index and the search need.
pub(super) struct Rendered {
    pub(super) title: String,
    /// The first paragraph, as plain text.
    pub(super) summary: String,
    pub(super) html: String,
    /// The title first, which has no anchor, then every heading with the text below it.
    pub(super) sections: Vec<Section>,
}

/// A heading and the plain text up to the next one.
pub(super) struct Section {
    pub(super) level: HeadingLevel,
    pub(super) anchor: String,
    pub(super) title: String,
    pub(super) text: String,
}

/// A fenced code block of a guide.
pub(super) struct Sample {
    /// The first word after the fence, such as `bash`.
    pub(super) language: String,
    pub(super) code: String,
}

const OPTIONS: Options =
    Options::ENABLE_TABLES.union(Options::ENABLE_HEADING_ATTRIBUTES).union(Options::ENABLE_TASKLISTS);

pub(super) fn samples(markdown: &str) -> Vec<Sample> {
    let mut found = Vec::new();
    let mut current: Option<Sample> = None;
    for event in Parser::new_ext(markdown, OPTIONS) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                current = Some(Sample { language: language(&kind), code: String::new() });
            }
            Event::Text(text) => {
                if let Some(sample) = &mut current {
                    sample.code.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => found.extend(current.take()),
            _ => {}
        }
    }
    found
}

pub(super) fn render(markdown: &str) -> Rendered {
    let sections = sections(markdown);
    let mut anchors = sections.iter().skip(1).map(|it| it.anchor.clone());
    let mut events = Vec::new();
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut in_task = false;
    let mut parser = Parser::new_ext(markdown, OPTIONS).peekable();
    while let Some(event) = parser.next() {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let mut code = String::new();
                for inner in parser.by_ref() {
                    match inner {
                        Event::Text(text) => code.push_str(&text),
                        _ => break,
                    }
                }
                blocks.push((language(&kind), code));
                if !matches!(parser.peek(), Some(Event::Start(Tag::CodeBlock(_)))) {
                    events.push(html(code_blocks(&std::mem::take(&mut blocks))));
                }
            }
            Event::Start(Tag::Heading { level, .. }) if level != HeadingLevel::H1 => {
                let anchor = anchors.next().expect("every heading is a section");
                events.push(html(format!("<{level} id=\"{anchor}\" tabindex=\"-1\">")));
            }
            Event::End(TagEnd::Heading(level)) if level != HeadingLevel::H1 => {
                events.push(html(format!("</{level}>\n")));
            }
            Event::TaskListMarker(_) => {
                in_task = true;
                events.push(html("<label><input type=\"checkbox\"> ".to_owned()));
            }
            Event::End(TagEnd::Item) if in_task => {
                in_task = false;
                events.push(html("</label>".to_owned()));
                events.push(event);
            }
            other => events.push(other),
        }
    }
    let mut text = String::new();
    push_html(&mut text, events.into_iter());
    let text = text.replace("<th>", "<th scope=\"col\">");
    let Section { title, text: summary, .. } = &sections[0];
    let summary = summary.split("\n\n").next().unwrap_or_default().trim().to_owned();
    Rendered { title: title.clone(), summary, html: text, sections }
}

fn html(text: String) -> Event<'static> {
    Event::Html(CowStr::from(text))
}

fn language(kind: &CodeBlockKind<'_>) -> String {
    match kind {
        CodeBlockKind::Fenced(info) => info.split(' ').next().unwrap_or_default().to_owned(),
        CodeBlockKind::Indented => String::new(),
    }
}

/// Returns the HTML of neighboring code blocks.
///
/// Blocks in different programming languages are the same sample, of which the page shows one at a
/// time.
fn code_blocks(blocks: &[(String, String)]) -> String {
    let languages: BTreeSet<&str> = blocks.iter().map(|(language, _)| language.as_str()).collect();
    let is_program = |language: &&str| !["bash", "http", "json"].contains(language);
    let one_sample = blocks.len() > 1 && languages.len() == blocks.len() && languages.iter().all(is_program);
    let figures: String = blocks.iter().map(|(language, code)| figure(language, code)).collect();
    if one_sample { format!("<div class=\"samples\">\n{figures}</div>\n") } else { figures }
}

fn figure(language: &str, code: &str) -> String {
    let name = match language {
        "bash" => "Shell",
        "csharp" => "C#",
        "go" => "Go",
        "http" => "HTTP",
        "javascript" => "JavaScript",
        "json" => "JSON",
        "php" => "PHP",
        "python" => "Python",
        "ruby" => "Ruby",
        other => panic!("no name for the language {other:?}"),
    };
    let mut escaped = String::new();
    push_html(&mut escaped, [Event::Text(CowStr::from(code.to_owned()))].into_iter());
    format!(
        "<figure class=\"block\"><figcaption class=\"block-head\">{name}</figcaption><pre tabindex=\"0\" \
         aria-label=\"{name}\"><code data-language=\"{language}\">{escaped}</code></pre></figure>\n"
    )
}

fn sections(markdown: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut in_heading = false;
    for event in Parser::new_ext(markdown, OPTIONS) {
        match event {
            Event::Start(Tag::Heading { level, id, .. }) => {
                in_heading = true;
                let anchor = id.map(CowStr::into_string).unwrap_or_default();
                sections.push(Section { level, anchor, title: String::new(), text: String::new() });
            }
            Event::End(TagEnd::Heading(_)) => {
                in_heading = false;
                let last = sections.last_mut().expect("a heading has started");
                if last.anchor.is_empty() {
                    last.anchor = slug(&last.title);
                }
            }
            Event::Text(text) | Event::Code(text) => {
                let last = sections.last_mut().expect("a guide starts with its title");
                let target = if in_heading { &mut last.title } else { &mut last.text };
                target.push_str(&text);
            }
            Event::SoftBreak | Event::End(TagEnd::TableCell | TagEnd::Item) => push(&mut sections, " "),
            Event::End(TagEnd::Paragraph | TagEnd::CodeBlock | TagEnd::TableHead | TagEnd::TableRow) => {
                push(&mut sections, "\n\n");
            }
            _ => {}
        }
    }
    sections
}

fn push(sections: &mut [Section], text: &str) {
    if let Some(last) = sections.last_mut() {
        last.text.push_str(text);
    }
}

/// Returns a heading's anchor: its words in lower case, separated by hyphens.
fn slug(title: &str) -> String {
    let words = title.split(|it: char| !it.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}
