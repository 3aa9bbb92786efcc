/* saEvtFinalize: SAI-AIS-EVT-B.03.01, saEvtFinalize(). */
#include "evt_test.h"

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(LIBRARY_HANDLE, wrong);
    size_t index;
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtFinalize(wrong[index]));
}

static void the_second_call_finds_a_bad_handle(void)
{
    SaUint8T major;
    for (major = 1; major <= 3; major++) {
        SaEvtHandleT library = library_new(major, NULL);
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtFinalize(library));
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtFinalize(library));
    }
}

static void no_function_takes_the_handle_any_more(SaEvtHandleT library, const SaNameT *name)
{
    SaSelectionObjectT object = 0;
    SaEvtChannelHandleT channel = 0;
    SaLimitValueT value;
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtSelectionObjectGet(library, &object));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtDispatch(library, SA_DISPATCH_ALL));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
              saEvtChannelOpen(library, name, OPEN_ALL, SA_TIME_MAX, &channel));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtChannelOpenAsync(library, 1, name, OPEN_ALL));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtChannelUnlink(library, name));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtLimitGet(library, SA_EVT_MAX_EVT_SIZE_ID, &value));
}

static void handles_below_it_become_bad(void)
{
    SaNameT name;
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    SaEvtEventHandleT allocated = event_new(channel);
    SaEvtEventHandleT received;
    SaEvtEventHandleT event = 0;
    SaEvtEventIdT id = 0;
    SaEvtEventFilterArrayT filters = {0, NULL};
    SaSizeT size = 0;
    log_keep_events = 1;
    subscribe_all(channel, 1);
    publish_text(channel, "kept", LOWEST, 0);
    await_deliveries(library, 1);
    received = log_delivery(0).event;
    log_keep_events = 0;
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    no_function_takes_the_handle_any_more(library, &name);
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventAllocate(channel, &event));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventSubscribe(channel, &filters, 2));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventUnsubscribe(channel, 1));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventRetentionTimeClear(channel, 5000));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventPublish(allocated, NULL, 0, &id));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(allocated));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventDataGet(received, NULL, &size));
    CHECK_AIS(SA_AIS_ERR_BAD_HANDLE, saEvtEventFree(received));
}

static void other_handles_are_not_affected(void)
{
    SaNameT name;
    SaEvtHandleT ended = library_recording();
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT theirs = channel_fresh(ended, &name);
    SaEvtChannelHandleT channel = channel_open(library, &name, OPEN_BOTH);
    SaEvtEventHandleT event = event_new(channel);
    subscribe_all(theirs, 1);
    subscribe_all(channel, 2);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(ended));
    event_publish(event, "on", 2);
    EXPECT_TEXTS_OF(library, "on:2");
    CHECK_AIS(SA_AIS_OK, saEvtEventFree(event));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
}

static void pending_callbacks_are_cancelled(void)
{
    SaNameT name;
    SaEvtHandleT library = library_recording();
    SaEvtChannelHandleT channel = channel_fresh(library, &name);
    subscribe_all(channel, 1);
    publish_text(channel, "undelivered", LOWEST, 0);
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(library, 1, &name, OPEN_BOTH));
    settle(library);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK_EQ(0, log_deliveries());
    CHECK_EQ(0, log_openings());
}

static void the_selection_object_is_closed(void)
{
    SaEvtHandleT library = library_recording();
    int descriptor = selection_object(library);
    CHECK(fcntl(descriptor, F_GETFD) >= 0);
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    CHECK(fcntl(descriptor, F_GETFD) == -1 && errno == EBADF);
}

/* A stale value kept by the program must not name somebody else's handle. */
static void handles_are_not_used_again_soon(void)
{
    enum { NUMBER = 50 };
    SaEvtHandleT seen[NUMBER];
    size_t index;
    size_t other;
    for (index = 0; index < NUMBER; index++) {
        seen[index] = library_new(3, NULL);
        CHECK_AIS(SA_AIS_OK, saEvtFinalize(seen[index]));
        for (other = 0; other < index; other++)
            CHECK(seen[other] != seen[index]);
    }
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    wrong_handles_are_bad();
    the_second_call_finds_a_bad_handle();
    handles_below_it_become_bad();
    other_handles_are_not_affected();
    pending_callbacks_are_cancelled();
    the_selection_object_is_closed();
    handles_are_not_used_again_soon();
    return test_end();
}
