//! Subscriptions: subscribe, unsubscribe.

use super::guard::guard;
use super::patterns;
use super::types::*;
use crate::agent;
use crate::evt::SubscriptionId;

/// Subscribes an open channel to the events that match the filters.
///
/// - `SA_AIS_ERR_INVALID_PARAM`: `filters`, or something that is to be read in it, is NULL, or a
///   filter has an unknown type.
/// - `SA_AIS_ERR_INIT`: no deliver callback was registered.
/// - `SA_AIS_ERR_ACCESS`: the channel was not opened for subscribing.
/// - `SA_AIS_ERR_TOO_BIG`: too many filters, or too large a one.
/// - `SA_AIS_ERR_EXIST`: the identifier is in use on this open channel.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// The older libraries accept unknown filter types, which then never match; here they are refused.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventSubscribe().
///
/// # Safety
///
/// `filters` is NULL, or can be read as its numbers and sizes say, and no other thread writes it
/// until the call returns. The bytes of a pass-all filter need not be there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventSubscribe(
    channelHandle: SaEvtChannelHandleT,
    filters: *const SaEvtEventFilterArrayT,
    subscriptionId: SaEvtSubscriptionIdT,
) -> SaAisErrorT {
    guard("saEvtEventSubscribe", || {
        // SAFETY: what `read_filters` asks, this function asks of its caller.
        let filters = unsafe { patterns::read_filters(filters) }?;
        agent::subscribe(channelHandle, filters, SubscriptionId(subscriptionId))
    })
}

/// Ends a subscription.
///
/// - `SA_AIS_ERR_NOT_EXIST`: the identifier is not in use on this open channel.
/// - `SA_AIS_ERR_BAD_HANDLE`, and the codes common to all functions.
///
/// Source: SAI-AIS-EVT-B.03.01, saEvtEventUnsubscribe().
///
/// # Safety
///
/// None is needed; the functions of this interface are alike in being unsafe.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn saEvtEventUnsubscribe(
    channelHandle: SaEvtChannelHandleT,
    subscriptionId: SaEvtSubscriptionIdT,
) -> SaAisErrorT {
    guard("saEvtEventUnsubscribe", || {
        agent::unsubscribe(channelHandle, SubscriptionId(subscriptionId))
    })
}
