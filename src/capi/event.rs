//! Events: allocate, free, attributes, data, publish, clear of the retention time.

use super::guard::guard;
use super::patterns::{PatternBlock, PatternsIn, PatternsOut, PatternsTaken};
use super::ptr::{self, InOutPtr, OutName, OutPtr};
use super::types::*;
use crate::agent::{self, EventView, Handle};
use crate::evt::{Error, EventId, Name, Priority, Span};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Makes an event for the channel.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `eventHandle` is NULL.
/// - `SA_AIS_ERR_ACCESS`: release B.03, and the channel was not opened for publishing.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventAllocate().
///
/// # Safety
///
/// `eventHandle` is NULL, or aligned, writable and used by no other thread until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventAllocate(
    channelHandle: SaEvtChannelHandleT,
    eventHandle: *mut SaEvtEventHandleT,
) -> SaAisErrorT {
    guard("saEvtEventAllocate", || {
        // SAFETY: what `OutPtr::new` asks, this function asks of its caller.
        let out = unsafe { OutPtr::new(eventHandle) }.ok_or(Error::InvalidParam)?;
        out.write(agent::event_allocate(channelHandle)?);
        Ok(())
    })
}

/// Frees an allocated or received event.
///
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventFree().
///
/// # Safety
///
/// None is needed; the functions of this interface are alike in being unsafe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventFree(eventHandle: SaEvtEventHandleT) -> SaAisErrorT {
    guard("saEvtEventFree", || agent::event_free(eventHandle))
}

/// Sets the attributes of an allocated event, all or none.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: the priority is above 3, the retention time negative, the name
///   too long, or something that is to be read is NULL.
/// - `SA_AIS_ERR_ACCESS`: the event was received.
/// - `SA_AIS_ERR_TOO_BIG`: too many patterns, too large a one, or (release B.03) too long a
///   retention time.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// An empty publisher name, which OpenSAF refuses, is the default value and so is accepted.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventAttributesSet().
///
/// # Safety
///
/// `patternArray` is NULL, or can be read as its numbers and sizes say. `publisherName` is NULL or
/// a readable name. No other thread writes either until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventAttributesSet(
    eventHandle: SaEvtEventHandleT,
    patternArray: *const SaEvtEventPatternArrayT,
    priority: SaEvtEventPriorityT,
    retentionTime: SaTimeT,
    publisherName: *const SaNameT,
) -> SaAisErrorT {
    guard("saEvtEventAttributesSet", || {
        let priority = Priority::new(priority)?;
        let retention = Span::from_sa_time(retentionTime).ok_or(Error::InvalidParam)?;
        // SAFETY: what `read_name` asks, this function asks of its caller.
        let publisher = unsafe { ptr::read_name(publisherName) }?;
        // SAFETY: what `read` asks, this function asks of its caller.
        let patterns = unsafe { PatternsIn::read(patternArray) }?;
        agent::attributes_set(eventHandle, priority, retention, |present| {
            patterns.pack(publisher, present)
        })
    })
}

/// Reads the attributes of an event. Every output may be NULL.
///
/// - `SA_AIS_ERR_NO_SPACE`: the caller's pattern buffers do not hold all patterns; the true number
///   and sizes, and all other outputs, are written.
/// - `SA_AIS_ERR_INVALID_PARAM`: a pattern buffer that is large enough is NULL.
/// - `SA_AIS_ERR_NO_MEMORY`: for patterns that the library has to allocate.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventAttributesGet(); that a pattern array of NULL is skipped
/// is openais' choice and the specification's, OpenSAF refuses it.
///
/// # Safety
///
/// Each pointer is NULL, or aligned, writable and used by no other thread until the call returns.
/// In `patternArray`, `patterns` is initialized; if it is not NULL, so are `allocatedNumber` and
/// the `allocatedSize` and `pattern` of as many entries, and they describe writable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventAttributesGet(
    eventHandle: SaEvtEventHandleT,
    patternArray: *mut SaEvtEventPatternArrayT,
    priority: *mut SaEvtEventPriorityT,
    retentionTime: *mut SaTimeT,
    publisherName: *mut SaNameT,
    publishTime: *mut SaTimeT,
    eventId: *mut SaEvtEventIdT,
) -> SaAisErrorT {
    guard("saEvtEventAttributesGet", || {
        // SAFETY: what is asked here and below, this function asks of its caller.
        let patterns = unsafe { PatternsOut::new(patternArray) };
        let wanted = Wanted {
            // SAFETY: as above.
            priority: unsafe { OutPtr::new(priority) },
            // SAFETY: as above.
            retention: unsafe { OutPtr::new(retentionTime) },
            // SAFETY: as above.
            publisher: unsafe { OutName::new(publisherName) },
            // SAFETY: as above.
            publish_time: unsafe { OutPtr::new(publishTime) },
            // SAFETY: as above.
            id: unsafe { OutPtr::new(eventId) },
        };
        let (attributes, patterns) = agent::attributes(eventHandle, |view| {
            Ok((wanted.take(view)?, patterns.take(view.attributes.patterns())?))
        })?;
        let complete = give(eventHandle, patterns)?;
        wanted.write(&attributes);
        if complete { Ok(()) } else { Err(Error::NoSpace) }
    })
}

/// The outputs of `saEvtEventAttributesGet` beside the patterns.
struct Wanted {
    priority: Option<OutPtr<SaEvtEventPriorityT>>,
    retention: Option<OutPtr<SaTimeT>>,
    publisher: Option<OutName>,
    publish_time: Option<OutPtr<SaTimeT>>,
    id: Option<OutPtr<SaEvtEventIdT>>,
}

/// What goes there, copied so that nothing is written before all has succeeded.
struct Values {
    priority: Priority,
    retention: Span,
    publisher: Option<Name>,
    publish_time: i64,
    id: EventId,
}

impl Wanted {
    /// Copies the attributes; the publisher name only if it is wanted.
    ///
    /// - `InvalidParam`: a publisher name that cannot be.
    fn take(&self, view: EventView<'_>) -> Result<Values, Error> {
        let publisher = match &self.publisher {
            Some(_) => Some(Name::new(view.attributes.publisher())?),
            None => None,
        };
        let EventView { priority, retention, publish_time, id, .. } = view;
        Ok(Values { priority, retention, publisher, publish_time, id })
    }

    /// Writes those that are wanted.
    fn write(&self, values: &Values) {
        if let Some(out) = &self.priority {
            out.write(values.priority.number());
        }
        if let Some(out) = &self.retention {
            out.write(values.retention.to_sa_time());
        }
        if let (Some(out), Some(publisher)) = (&self.publisher, &values.publisher) {
            out.write(publisher);
        }
        if let Some(out) = &self.publish_time {
            out.write(values.publish_time);
        }
        if let Some(out) = &self.id {
            out.write(values.id.0);
        }
    }
}

/// Hands over what was taken of the patterns; whether that was everything. Allocated patterns are
/// noted for `saEvtEventPatternFree` first; if that fails they are freed and nothing is written.
fn give(event: Handle, patterns: PatternsTaken) -> Result<bool, Error> {
    match patterns {
        PatternsTaken::Nothing => Ok(true),
        PatternsTaken::Copied { complete } => Ok(complete),
        PatternsTaken::Allocated { block, array } => {
            if let Some(block) = &block {
                agent::patterns_remember(event, block.address(), block.number())?;
            }
            array.write(PatternBlock::into_array(block));
            Ok(true)
        }
    }
}

/// Frees the patterns that `saEvtEventAttributesGet` allocated.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `patterns` is NULL, or was not given out for this event, or has
///   been freed by this function.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// It serves handles of every release, although B.01 has no such function.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventPatternFree().
///
/// # Safety
///
/// `patterns`, if it came from `saEvtEventAttributesGet` for this event, has not been freed by
/// other means, has been changed in no entry, and is used by no other thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventPatternFree(
    eventHandle: SaEvtEventHandleT,
    patterns: *mut SaEvtEventPatternT,
) -> SaAisErrorT {
    guard("saEvtEventPatternFree", || {
        let entries = NonNull::new(patterns).ok_or(Error::InvalidParam)?;
        let number = agent::patterns_forget(eventHandle, entries.as_ptr() as usize)?;
        let number = usize::try_from(number).map_err(|_| Error::Library)?;
        // SAFETY: the agent knows the address and the number from `give`, and our caller says that
        // nobody has freed it.
        drop(unsafe { PatternBlock::from_array(entries, number) });
        Ok(())
    })
}

/// Copies the data of a received event.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `eventDataSize` is NULL.
/// - `SA_AIS_ERR_NO_SPACE`: the buffer is too small; only the size is written.
/// - `SA_AIS_ERR_BAD_HANDLE`: also for an allocated event; and the codes common to all functions.
///
/// `eventData` of NULL asks for the size alone. Release B.01 lets the library supply a buffer then,
/// which this signature cannot deliver; OpenSAF answers `SA_AIS_ERR_INVALID_PARAM` and openais
/// `SA_AIS_ERR_NO_SPACE`.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventDataGet().
///
/// # Safety
///
/// `eventDataSize` is NULL, or aligned, initialized and writable. `eventData` is NULL, or so many
/// bytes are writable there. No other thread uses either until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventDataGet(
    eventHandle: SaEvtEventHandleT,
    eventData: *mut c_void,
    eventDataSize: *mut SaSizeT,
) -> SaAisErrorT {
    guard("saEvtEventDataGet", || {
        // SAFETY: what `InOutPtr::new` asks, this function asks of its caller.
        let size = unsafe { InOutPtr::new(eventDataSize) }.ok_or(Error::InvalidParam)?;
        agent::data(eventHandle, |data| {
            // SAFETY: the caller's buffer has the size that is given with it.
            let fitted = unsafe {
                ptr::copy_out(data.bytes(), eventData.cast(), size.given, |to| data.copy_to(to))
            };
            size.write(data.bytes() as u64);
            if fitted { Ok(()) } else { Err(Error::NoSpace) }
        })
    })
}

/// Publishes an allocated or received event as it is now, with data.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `eventId` is NULL.
/// - `SA_AIS_ERR_ACCESS`: the channel was not opened for publishing.
/// - `SA_AIS_ERR_TOO_BIG`: too much data.
/// - `SA_AIS_ERR_TRY_AGAIN`, `SA_AIS_ERR_NO_RESOURCES`: not published.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// With `eventData` of NULL the size is not looked at; the older libraries do look.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventPublish().
///
/// # Safety
///
/// `eventData` is NULL, or `eventDataSize` bytes are readable there and written by no other thread
/// until the call returns. `eventId` is NULL, or aligned, writable and used by no other thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventPublish(
    eventHandle: SaEvtEventHandleT,
    eventData: *const c_void,
    eventDataSize: SaSizeT,
    eventId: *mut SaEvtEventIdT,
) -> SaAisErrorT {
    guard("saEvtEventPublish", || {
        // SAFETY: what `OutPtr::new` asks, this function asks of its caller.
        let out = unsafe { OutPtr::new(eventId) }.ok_or(Error::InvalidParam)?;
        // SAFETY: what `bytes` asks, this function asks of its caller.
        let Some(data) = (unsafe { ptr::bytes(eventData.cast(), eventDataSize) }) else {
            // More than memory can hold. A bad handle still comes first.
            agent::attributes(eventHandle, |_| Ok(()))?;
            return Err(Error::TooBig);
        };
        out.write(agent::publish(eventHandle, data)?.0);
        Ok(())
    })
}

/// Ends the retention of a published event.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `eventId` is 1000 or less.
/// - `SA_AIS_ERR_NOT_EXIST`: no such event is retained on the channel.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventRetentionTimeClear().
///
/// # Safety
///
/// None is needed; the functions of this interface are alike in being unsafe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventRetentionTimeClear(
    channelHandle: SaEvtChannelHandleT,
    eventId: SaEvtEventIdT,
) -> SaAisErrorT {
    guard("saEvtEventRetentionTimeClear", || {
        let id = EventId(eventId);
        if !id.is_publishable() {
            return Err(Error::InvalidParam);
        }
        agent::retention_clear(channelHandle, id)
    })
}

#[cfg(test)]
#[allow(clippy::multiple_unsafe_ops_per_block)] // One fact makes all calls of a test sound.
mod tests {
    use super::*;
    use crate::evt::Attributes;
    use std::ptr::{null, null_mut};

    #[test]
    fn arguments_are_judged_before_the_handle() {
        let long = SaNameT { length: 257, value: [b'x'; 256] };
        let patterns =
            SaEvtEventPatternArrayT { allocatedNumber: 9, patternsNumber: 1, patterns: null_mut() };
        // SAFETY: NULL, plain numbers, or variables that live in this test.
        let codes = unsafe {
            [
                saEvtEventAllocate(0, null_mut()),
                saEvtEventAttributesSet(0, null(), 4, 0, null()),
                saEvtEventAttributesSet(0, null(), 0, -1, null()),
                saEvtEventAttributesSet(0, null(), 0, i64::MIN, null()),
                saEvtEventAttributesSet(0, null(), 0, 0, &long),
                saEvtEventAttributesSet(0, &patterns, 0, 0, null()),
                saEvtEventPatternFree(0, null_mut()),
                saEvtEventDataGet(0, null_mut(), null_mut()),
                saEvtEventPublish(0, null(), 0, null_mut()),
                saEvtEventRetentionTimeClear(0, 0),
                saEvtEventRetentionTimeClear(0, 1000),
            ]
        };
        assert_eq!(codes, [SA_AIS_ERR_INVALID_PARAM; 11]);
    }

    #[test]
    fn only_wanted_attributes_are_written() {
        let publisher = Name::new(b"me").unwrap();
        let attributes = Attributes::pack(&publisher, std::iter::empty()).unwrap();
        let view = EventView {
            attributes: attributes.view(),
            priority: Priority::HIGHEST,
            retention: Span::FOREVER,
            publish_time: i64::MIN,
            id: EventId::NONE,
        };
        let (mut priority, mut retention, mut time, mut id) = (9, 9, 9, 9);
        let mut name = SaNameT { length: 9, value: [b'x'; 256] };
        let nothing = Wanted {
            priority: None,
            retention: None,
            publisher: None,
            publish_time: None,
            id: None,
        };
        nothing.write(&nothing.take(view).unwrap());
        assert_eq!((priority, retention, time, id, name.length), (9, 9, 9, 9, 9));
        // SAFETY: variables that live in this test.
        let all = unsafe {
            Wanted {
                priority: OutPtr::new(&mut priority),
                retention: OutPtr::new(&mut retention),
                publisher: OutName::new(&mut name),
                publish_time: OutPtr::new(&mut time),
                id: OutPtr::new(&mut id),
            }
        };
        all.write(&all.take(view).unwrap());
        assert_eq!((priority, retention, time, id), (0, i64::MAX, i64::MIN, 0));
        assert_eq!((name.length, &name.value[..4]), (2, b"me\0x".as_slice()));
    }
}
