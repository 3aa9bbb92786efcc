/* saEvtChannelClose: SAI-AIS-EVT-B.03.01, saEvtChannelClose(). */
#include "evt_test.h"

static SaEvtHandleT library;

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(CHANNEL_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtChannelClose(wrong[index]));
}

static void the_handle_and_those_below_become_bad(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT allocated = event_new(channel);
    SaEvtEventHandleT event = 0;
    SaEvtEventHandleT received;
    SaEvtEventFilterArrayT filters = {0, NULL};
    SaEvtEventIdT id = 0;
    SaSizeT size = 0;
    subscribe_all(channel, 1);
    log_keep_events = 1;
    publish_text(channel, "kept", LOWEST, 0);
    await_deliveries(library, 1);
    log_keep_events = 0;
    received = log_delivery(0).event;
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtEventDataGet(received, NULL, &size));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventAllocate(channel, &event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventSubscribe(channel, &filters, 2));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventRetentionTimeClear(channel, 5000));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPublish(allocated, NULL, 0, &id));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(allocated));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(received, NULL, &size));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(received));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* Pending events of this instance are gone, those of other instances and channels are not. */
static void only_its_own_events_are_purged(void)
{
    SaNameT name;
    SaNameT other_name;
    SaEvtChannelHandleT closed = channel_fresh(library, &name);
    SaEvtChannelHandleT stays = channel_open(library, &name, OPEN_BOTH);
    SaEvtChannelHandleT other = channel_fresh(library, &other_name);
    subscribe_all(closed, 1);
    subscribe_all(stays, 2);
    subscribe_all(other, 3);
    publish_text(other, "other", 0, 0);
    publish_text(stays, "first", 1, 0);
    publish_text(stays, "second", 2, 0);
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(closed));
    publish_text(stays, "end", 3, 0);
    EXPECT_TEXTS_OF(library, "other:3,first:2,second:2,end:2");
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(stays));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(other));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &other_name));
}

/* The events of the closed instance are the only pending ones: nothing is left to be read. */
static void a_purged_queue_is_not_readable(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    int descriptor = selection_object(library);
    struct pollfd entry;
    subscribe_all(channel, 1);
    publish_text(channel, "purged", LOWEST, 0);
    entry.fd = descriptor;
    entry.events = POLLIN;
    CHECK(poll(&entry, 1, -1) == 1);
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    drain(library);
    CHECK(!readable(descriptor));
    CHECK_EQ(0, log_deliveries());
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void the_channel_stays(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventIdT id = publish_text(channel, "retained", LOWEST, RETAIN_NS);
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    channel = channel_open(library, &name, SA_EVT_CHANNEL_SUBSCRIBER);
    subscribe_all(channel, 4);
    await_deliveries(library, 1);
    CHECK_EQ(id, log_delivery(0).id);
    EXPECT_TEXTS_OF(library, "retained:4");
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
}

static void a_published_event_survives_the_close(void)
{
    size_t round;
    for (round = 0; round < test_rounds(200, 20); round++) {
        SaNameT name;
        SaEvtHandleT listener = library_recording();
        SaEvtChannelHandleT publisher = channel_fresh(library, &name);
        SaEvtChannelHandleT subscriber = channel_open(listener, &name, OPEN_BOTH);
        subscribe_all(subscriber, 1);
        publish_text(publisher, "survives", LOWEST, 0);
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(publisher));
        EXPECT_TEXTS(listener, "survives");
        CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(listener, &name));
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(listener));
    }
}

static void no_event_comes_after_it(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtChannelHandleT closed = channel_open(library, &name, OPEN_BOTH);
    subscribe_all(closed, 1);
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(closed));
    publish_text(channel, "unseen", LOWEST, 0);
    subscribe_all(channel, 2);
    publish_text(channel, "sentinel", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "sentinel:2");
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    wrong_handles_are_bad();
    the_handle_and_those_below_become_bad();
    only_its_own_events_are_purged();
    a_purged_queue_is_not_readable();
    the_channel_stays();
    a_published_event_survives_the_close();
    no_event_comes_after_it();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
