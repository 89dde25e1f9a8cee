//! Writes a document out: the bytes as they came, with the splices in their places.

use bytes::Bytes;

use super::JsonError;
use super::doc::Doc;
use super::node::{Entry, Layout, Node, NodeId, Place, Span, blank_before};
use super::scan::skip_blank;

// === impl Doc: rendering ===

impl Doc {
    /// The present text of the document: the very bytes it was made from while nothing was edited.
    pub fn render(&self) -> Bytes {
        let body = self.texts.first().cloned().unwrap_or_default();
        let Some(root) = self.nodes.first().filter(|_| self.edited) else {
            return body;
        };
        let spliced: usize = self.texts.iter().map(Bytes::len).sum();
        let mut out = Vec::with_capacity(spliced + self.texts.len() * 4);
        out.extend_from_slice(Span::new(0, root.span.start()).of(&body));
        self.write(root, &mut out);
        out.extend_from_slice(Span::new(root.span.end(), body.len()).of(&body));
        Bytes::from(out)
    }

    /// The present bytes of one container, to be put elsewhere unharmed.
    pub fn bytes_of(&mut self, node: NodeId) -> Result<Bytes, JsonError> {
        self.index(node)?;
        let node = self.live(node)?;
        if node.changed {
            let mut out = Vec::new();
            self.write(node, &mut out);
            return Ok(Bytes::from(out));
        }
        let text = self.texts.get(node.text as usize).cloned().unwrap_or_default();
        Ok(text.slice(node.span.start()..node.span.end()))
    }

    /// Whether an entry's value would be written as exactly `bytes`.
    pub(super) fn reads_as(&self, node: &Node, entry: &Entry, bytes: &[u8]) -> bool {
        match self.changed_child(entry) {
            Some(child) => {
                let mut out = Vec::new();
                self.write(child, &mut out);
                out == bytes
            }
            None => self.unchanged_value(node, entry) == bytes,
        }
    }

    /// Writes a changed container. It calls itself for changed children, at most as deep as the limits allow.
    fn write(&self, node: &Node, out: &mut Vec<u8>) {
        match &node.layout {
            None => self.write_in_place(node, out),
            Some(layout) => self.write_laid_out(node, layout, out),
        }
    }

    /// A container whose entries are the ones it was read with: everything between changed values is one copy.
    fn write_in_place(&self, node: &Node, out: &mut Vec<u8>) {
        let text = self.text(node.text);
        let mut copied = node.span.start();
        for entry in node.entries() {
            let Place::Here { value, .. } = entry.place else {
                continue;
            };
            if entry.splice.is_some() || self.changed_child(entry).is_some() {
                out.extend_from_slice(Span::new(copied, value.start()).of(text));
                self.write_value(node, entry, out);
                copied = value.end();
            }
        }
        out.extend_from_slice(Span::new(copied, node.span.end()).of(text));
    }

    /// A container that got or lost entries: the white space at its brackets stays with the brackets, every other entry
    /// keeps its own, and there is one comma between two.
    fn write_laid_out(&self, node: &Node, layout: &Layout, out: &mut Vec<u8>) {
        let text = self.text(node.text);
        out.push(if node.object { b'{' } else { b'[' });
        let last = node.entries().len().saturating_sub(1);
        for (at, entry) in node.entries().iter().enumerate() {
            let (before, after) = blanks_around(text, layout, entry);
            out.extend_from_slice(if at == 0 { layout.opening } else { before }.of(text));
            self.write_key(node, layout, entry, out);
            self.write_value(node, entry, out);
            out.extend_from_slice(if at == last { layout.closing } else { after }.of(text));
            if at < last {
                out.push(b',');
            }
        }
        out.push(if node.object { b'}' } else { b']' });
    }

    fn write_key(&self, node: &Node, layout: &Layout, entry: &Entry, out: &mut Vec<u8>) {
        let text = self.text(node.text);
        match entry.place {
            Place::Here { key, value } => {
                out.extend_from_slice(Span::new(key.start(), value.start()).of(text));
            }
            Place::Added { key: Some(key) } => {
                out.extend_from_slice(self.text(key.get()));
                out.extend_from_slice(layout.colon.map_or(b":", |colon| colon.of(text)));
            }
            Place::Added { key: None } => {}
        }
    }

    fn write_value(&self, node: &Node, entry: &Entry, out: &mut Vec<u8>) {
        match self.changed_child(entry) {
            Some(child) => self.write(child, out),
            None => out.extend_from_slice(self.unchanged_value(node, entry)),
        }
    }

    /// The bytes of a value in which nothing was edited since it was read or spliced in.
    fn unchanged_value(&self, node: &Node, entry: &Entry) -> &[u8] {
        let (text, span) = self.value_of(node, entry);
        span.of(self.text(text))
    }

    fn changed_child(&self, entry: &Entry) -> Option<&Node> {
        self.nodes.get(entry.child?.get() as usize).filter(|child| child.changed)
    }
}

/// The white space before and after an entry that stands between others. What stood at a bracket belongs to the bracket.
fn blanks_around(text: &[u8], layout: &Layout, entry: &Entry) -> (Span, Span) {
    let nothing = Span::new(0, 0);
    let Some(extent) = entry.extent() else {
        return (layout.between, nothing);
    };
    let before =
        if extent.start() == layout.opening.end() { layout.between } else { blank_before(text, extent.start()) };
    let after = if extent.end() == layout.closing.start() {
        nothing
    } else {
        Span::new(extent.end(), skip_blank(text, extent.end()))
    };
    (before, after)
}
