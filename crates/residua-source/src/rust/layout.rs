//! Lines of code as rustfmt lays them out with its default settings.
//!
//! Only what the generator writes is known here: calls, chains of methods, lists, structs.

/// Most characters of a line.
const WIDTH: usize = 100;
/// Most characters of the arguments of a call, of a list, and of a chain on one line.
const CALL: usize = 60;
/// Most characters of the items of a list that fill lines.
const SHORT: usize = 10;
/// Most characters of what stays with its first call.
const SHORT_RECEIVER: usize = 4;
/// Most characters of the fields of a struct on one line.
const STRUCT: usize = 18;

fn pad(indent: usize) -> String {
    " ".repeat(indent)
}

/// `before(arguments)after` as lines.
pub(crate) fn call(indent: usize, before: &str, arguments: &[String], after: &str) -> String {
    let joined = arguments.join(", ");
    let is_flat = !joined.contains('\n');
    let line = format!("{}{before}({joined}){after}", pad(indent));
    if is_flat && joined.len() <= CALL && line.len() <= WIDTH {
        return line;
    }
    // What would fit alone is put behind the `=`, on a line of its own.
    if let Some((name, function)) = before.split_once(" = ") {
        let second = format!("{}{function}({joined}){after}", pad(indent + 4));
        if is_flat && joined.len() <= CALL && second.len() <= WIDTH {
            return format!("{}{name} =\n{second}", pad(indent));
        }
    }
    let mut lines = format!("{}{before}(\n", pad(indent));
    for argument in arguments {
        lines += &wide_argument(indent + 4, argument);
    }
    lines + &format!("{}){after}", pad(indent))
}

/// An argument on lines of its own: a list that is too wide has an item a line.
fn wide_argument(indent: usize, argument: &str) -> String {
    if argument.contains('\n') {
        let lines = argument.lines().map(|line| format!("{}{line}\n", pad(indent)));
        return lines.collect::<String>().trim_end().to_owned() + ",\n";
    }
    let items = argument.strip_prefix("&[").and_then(|rest| rest.strip_suffix(']'));
    match items.filter(|items| items.len() > CALL) {
        Some(items) => {
            let lines = items.split(", ").map(|item| format!("{}{item},\n", pad(indent + 4)));
            format!("{}&[\n{}{}],\n", pad(indent), lines.collect::<String>(), pad(indent))
        }
        None => format!("{}{argument},\n", pad(indent)),
    }
}

/// `before receiver.a()?.b()after` as lines; `joint` is the `?` between calls, or nothing. A call may be lines itself.
pub(crate) fn chain(
    indent: usize,
    before: &str,
    receiver: &str,
    calls: &[String],
    (joint, after): (&str, &str),
) -> String {
    let joined = format!("{receiver}.{}", calls.join(&format!("{joint}.")));
    let line = format!("{}{before}{joined}{after}", pad(indent));
    // A `?` at its end belongs to the chain, and has to leave a column; what ends the statement does not.
    let own = joined.len() + if after.starts_with('?') { 2 } else { 0 };
    let field = receiver.strip_prefix("self.");
    // A single call takes what fits on a line.
    let fits = own <= CALL || (calls.len() == 1 && field.is_none());
    if fits && line.len() <= WIDTH && !joined.contains('\n') {
        return line;
    }
    let receiver = if field.is_some() { "self" } else { receiver };
    let mut lines = format!("{}{before}{receiver}", pad(indent));
    let links = field.into_iter().map(|field| (field, "")).chain(calls.iter().map(|call| (&**call, joint)));
    let count = calls.len() + usize::from(field.is_some());
    for (at, (link, joint)) in links.enumerate() {
        let end = if at + 1 == count { after } else { joint };
        // What is short stays with its first call, where the line begins with it.
        let stays = at == 0 && before.is_empty() && receiver.len() <= SHORT_RECEIVER;
        let start = if stays { String::new() } else { format!("\n{}", pad(indent + 4)) };
        lines += &format!("{start}.{}{end}", link.replace('\n', &format!("\n{}", pad(indent + 4))));
    }
    lines
}

/// `before(&[items], last)after` as lines; `mark` is what stands before the list.
pub(crate) fn joined(indent: usize, before: &str, mark: &str, items: &[String], last: &str, after: &str) -> String {
    let list = format!("{mark}[{}]", items.join(", "));
    let joined = format!("{list}, {last}");
    let line = format!("{}{before}({joined}){after}", pad(indent));
    if joined.len() <= CALL && line.len() <= WIDTH {
        return line;
    }
    let (outer, inner) = (pad(indent + 4), pad(indent + 8));
    let mut lines = format!("{}{before}(\n", pad(indent));
    if list.len() - mark.len() - 2 <= CALL {
        lines += &format!("{outer}{list},\n");
    } else {
        lines += &format!("{outer}{mark}[\n");
        // Short items fill lines, others have one each.
        let is_short = items.iter().all(|item| item.len() <= SHORT);
        let mut current = String::new();
        for item in items {
            if !is_short {
                lines += &format!("{inner}{item},\n");
                continue;
            }
            let more = if current.is_empty() { item.len() + 1 } else { item.len() + 2 };
            if inner.len() + current.len() + more > WIDTH {
                lines += &format!("{inner}{current}\n");
                current.clear();
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current += &format!("{item},");
        }
        if is_short {
            lines += &format!("{inner}{current}\n");
        }
        lines += &format!("{outer}],\n");
    }
    lines + &format!("{outer}{last},\n{})", pad(indent)) + after
}

/// `before Name { fields }after` as lines.
pub(crate) fn structure(indent: usize, before: &str, name: &str, fields: &[String], after: &str) -> String {
    let joined = fields.join(", ");
    let line = format!("{}{before}{name} {{ {joined} }}{after}", pad(indent));
    if joined.len() <= STRUCT && line.len() <= WIDTH {
        return line;
    }
    let mut lines = format!("{}{before}{name} {{\n", pad(indent));
    for field in fields {
        lines += &format!("{}{field},\n", pad(indent + 4));
    }
    lines + &format!("{}}}{after}", pad(indent))
}

/// A text of several sentences as the lines of a comment. What is in it is ours, or printable.
pub(crate) fn comment(indent: usize, mark: &str, text: &str) -> String {
    let mut lines = String::new();
    let mut current = format!("{}{mark}", pad(indent));
    let start = current.len();
    for word in text.split_whitespace() {
        if current.len() > start && current.len() + 1 + word.len() > WIDTH {
            lines += &current;
            lines.push('\n');
            current.truncate(start);
        }
        current.push(' ');
        current += word;
    }
    lines + &current + "\n"
}

/// `before[items]after` as lines; `items` are no list of short names alone where they do not fit.
pub(crate) fn list(indent: usize, before: &str, items: &[String], after: &str) -> String {
    let joined = items.join(", ");
    let line = format!("{}{before}[{joined}]{after}", pad(indent));
    if joined.len() <= CALL && line.len() <= WIDTH {
        return line;
    }
    let inner = pad(indent + 4);
    let mut lines = format!("{}{before}[\n", pad(indent));
    // Calls are no short items, however short.
    if items.iter().any(|item| item.len() > SHORT || item.contains('(')) {
        items.iter().for_each(|item| lines += &format!("{inner}{item},\n"));
        return lines + &format!("{}]", pad(indent)) + after;
    }
    let mut current = String::new();
    for item in items {
        if !current.is_empty() && inner.len() + current.len() + item.len() + 2 > WIDTH {
            lines += &format!("{inner}{current}\n");
            current.clear();
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current += &format!("{item},");
    }
    lines + &format!("{inner}{current}\n{}]", pad(indent)) + after
}

/// `before a + b after` on a line.
pub(crate) fn infix(indent: usize, before: &str, a: &str, infix: &str, b: &str, after: &str) -> String {
    format!("{}{before}{a} {infix} {b}{after}", pad(indent))
}

/// `(a, b)` as lines.
pub(crate) fn tuple(indent: usize, items: &[String]) -> String {
    let line = format!("{}({})", pad(indent), items.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    let items = items.iter().map(|item| format!("{}{item},\n", pad(indent + 4)));
    format!("{}(\n{}{})", pad(indent), items.collect::<String>(), pad(indent))
}

/// `use path::{a, b};` as a line, or as lines that are filled.
pub(crate) fn import(path: &str, names: &[&str]) -> String {
    match names {
        [] => return String::new(),
        [only] if !only.starts_with("self") => return format!("use {path}::{only};\n"),
        _ => {}
    }
    let line = format!("use {path}::{{{}}};", names.join(", "));
    if line.len() <= WIDTH {
        return line + "\n";
    }
    let mut lines = format!("use {path}::{{\n");
    let mut current = pad(4);
    for name in names {
        if current.trim().len() + 4 + name.len() + 2 > WIDTH {
            lines += current.trim_end();
            lines.push('\n');
            current = pad(4);
        }
        current += &format!("{name}, ");
    }
    lines + current.trim_end() + "\n};\n"
}
