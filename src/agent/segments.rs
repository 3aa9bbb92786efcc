//! The segments that a window refers to: that of the present node, and those of nodes before as
//! long as records that they have left may be unread.

use crate::link::part::Part;
use crate::link::record::Reference;
use crate::link::segment::SegmentView;
use std::sync::Arc;

/// The segments of one window, and where the data of the record are that was found last.
#[derive(Debug, Default)]
pub(super) struct Segments {
    present: Option<Arc<SegmentView>>,
    earlier: Vec<Arc<SegmentView>>,
    found: Option<Arc<SegmentView>>,
    offset: u32,
}

impl Segments {
    pub(super) fn new(present: Option<Arc<SegmentView>>) -> Self {
        Self { present, ..Self::default() }
    }

    /// Another node begins with this window.
    pub(super) fn renew(&mut self, present: Option<Arc<SegmentView>>) {
        self.earlier.extend(std::mem::replace(&mut self.present, present));
    }

    /// The window has been read empty: nothing refers to the segments of earlier nodes any more.
    pub(super) fn forget_earlier(&mut self) {
        if !self.earlier.is_empty() {
            self.earlier = Vec::new();
            self.found = None;
        }
    }

    /// Goes where a record refers to; false if that is nowhere.
    pub(super) fn find(&mut self, to: Reference) -> bool {
        let is_right = |view: &&Arc<SegmentView>| view.number() == to.segment;
        if !self.found.as_ref().is_some_and(|found| is_right(&found)) {
            let mut known = self.present.iter().chain(&self.earlier);
            self.found = known.find(is_right).cloned();
        }
        self.offset = to.offset;
        self.part(to.bytes).is_some()
    }

    /// The data of the record that was found last, if that refers to a segment.
    pub(super) fn part(&self, bytes: u32) -> Option<Part<'_>> {
        self.found.as_ref()?.part(self.offset, bytes)
    }

    /// Where these data are, beyond the next record.
    pub(super) fn place(&self) -> Option<(Arc<SegmentView>, u32)> {
        Some((Arc::clone(self.found.as_ref()?), self.offset))
    }
}
