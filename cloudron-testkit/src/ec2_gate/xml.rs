//! The XML of answers, as text: moto writes it without line breaks between elements.

use super::http::Response;

/// An error as EC2 writes it.
pub(super) fn refusal(status: u16, code: &str) -> Response {
    let error = format!("<Error><Code>{code}</Code><Message>by the gate</Message></Error>");
    let body = format!("<Response><Errors>{error}</Errors><RequestID>gate</RequestID></Response>");
    Response { status, kind: "text/xml".into(), body }
}

/// A success as EC2 writes it.
pub(super) fn success(action: &str, inner: &str) -> Response {
    let space = "http://ec2.amazonaws.com/doc/2016-11-15/";
    let body =
        format!("<{action}Response xmlns=\"{space}\"><requestId>gate</requestId>{inner}</{action}Response>");
    Response { status: 200, kind: "text/xml".into(), body }
}

/// The content of the first element of that name.
pub(super) fn content<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let end = xml[start..].find(&format!("</{name}>"))?;
    Some(&xml[start..start + end])
}

/// The content of the last element of that name.
pub(super) fn last<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    content(&xml[xml.rfind(&format!("<{name}>"))?..], name)
}

/// Replaces the content of each element of that name, by the text before it; `None` leaves it.
pub(super) fn replaced<T: ToString>(xml: &str, name: &str, by: impl Fn(&str) -> Option<T>) -> String {
    let (opening, mut out, mut at) = (format!("<{name}>"), String::new(), 0);
    while let Some(found) = xml[at..].find(&opening) {
        let start = at + found + opening.len();
        let end = start + xml[start..].find('<').expect("moto_server closes its elements");
        out += &xml[at..start];
        out += &by(&xml[..start]).map_or_else(|| xml[start..end].to_owned(), |text| text.to_string());
        at = end;
    }
    out + &xml[at..]
}

/// Returns true if an element has that content.
pub(super) fn has(xml: &str, name: &str, content: &str) -> bool {
    xml.contains(&format!("<{name}>{content}</{name}>"))
}

/// Changes each outermost `item`; `None` takes it out.
pub(super) fn each_item(xml: &str, mut change: impl FnMut(&str) -> Option<String>) -> String {
    let (mut out, mut rest) = (String::new(), xml);
    while let Some(start) = rest.find("<item>") {
        out += &rest[..start];
        let end = start + end_of_item(&rest[start..]);
        out += &change(&rest[start..end]).unwrap_or_default();
        rest = &rest[end..];
    }
    out + rest
}

/// Where the item at the start of a text ends.
fn end_of_item(xml: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        let next = |tag: &str| xml[at..].find(tag).map(|found| at + found);
        let closing = next("</item>").expect("moto_server closes its elements");
        match next("<item>") {
            Some(opening) if opening < closing => (depth, at) = (depth + 1, opening + "<item>".len()),
            _ => (depth, at) = (depth - 1, closing + "</item>".len()),
        }
        if depth == 0 {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outermost_items_are_changed_and_taken_out() {
        let xml = "<a><s><item><id>1</id><t><item>x</item></t></item><item><id>2</id></item></s></a>";
        let without = each_item(xml, |item| (!has(item, "id", "1")).then(|| item.to_owned()));
        assert_eq!(without, "<a><s><item><id>2</id></item></s></a>");
        assert_eq!((content(xml, "id"), last(xml, "id")), (Some("1"), Some("2")));
        let changed = replaced(xml, "id", |before| before.contains("<t>").then_some("new"));
        assert!(
            changed.contains("<id>1</id>") && changed.contains("<id>new</id></item></s></a>"),
            "{changed}"
        );
        assert_eq!(each_item(xml, |item| Some(item.to_owned())), xml);
    }
}
