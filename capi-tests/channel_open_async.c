/* SAI-AIS-EVT-B.03.01, saEvtChannelOpenAsync(), SaEvtChannelOpenCallbackT. */
#include "evt_test.h"

static SaEvtHandleT library;

/* What the open comes to, be it told by the function or by the callback. */
static SaAisErrorT outcome(const SaNameT *name, SaEvtChannelOpenFlagsT flags,
                           SaEvtChannelHandleT *channel)
{
    struct opening opening;
    SaAisErrorT result;
    log_clear();
    REPEAT(result, saEvtChannelOpenAsync(library, 1, name, flags));
    if (result != SA_AIS_OK)
        return result;
    await_openings(library, 1);
    opening = log_opening(0);
    *channel = opening.channel;
    if (opening.error != SA_AIS_OK)
        CHECK_EQ_REC(0, opening.channel);
    log_clear();
    return opening.error;
}

static void arguments_are_judged_by_the_function(void)
{
    static const SaUint16T lengths[] = {257, 0xcd2b, 0xffff};
    static const int flags[] = {0, 8, 0x80, 0xff};
    SaNameT name;
    size_t index;
    name_fresh(&name);
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpenAsync(library, 1, NULL, OPEN_ALL));
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpenAsync(0, 1, NULL, 0));
    for (index = 0; index < 4; index++) {
        SaEvtChannelOpenFlagsT value = (SaEvtChannelOpenFlagsT)flags[index];
        CHECK_AIS_REC(SA_AIS_ERR_BAD_FLAGS, saEvtChannelOpenAsync(library, 1, &name, value));
        CHECK_AIS_REC(SA_AIS_ERR_BAD_FLAGS, saEvtChannelOpenAsync(0, 1, &name, value));
    }
    for (index = 0; index < 3; index++) {
        name.length = lengths[index];
        CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpenAsync(library, 1, &name, OPEN_ALL));
    }
    name.length = 0;
    CHECK_AIS_REC(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpenAsync(library, 1, &name, OPEN_ALL));
}

/* Whether a name may be created can be the service's to say, and so the callback's. */
static void a_name_that_is_no_dn_is_not_created(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = 0;
    name_text(&name, "notADistinguishedName");
    CHECK_EQ(SA_AIS_ERR_INVALID_PARAM, outcome(&name, OPEN_ALL, &channel));
}

static void wrong_handles_are_bad(void)
{
    SaUint64T wrong[WRONG_HANDLES];
    size_t number = wrong_handles(LIBRARY_HANDLE, wrong);
    size_t index;
    SaNameT name;
    name_fresh(&name);
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_ERR_BAD_HANDLE,
                  saEvtChannelOpenAsync(wrong[index], 1, &name, OPEN_ALL));
}

static void without_an_open_callback_it_is_refused(void)
{
    SaEvtCallbacksT callbacks = recording_callbacks;
    SaEvtHandleT without = library_new(3, NULL);
    SaEvtHandleT deliver_only;
    SaEvtChannelHandleT channel = 0;
    SaNameT name;
    name_fresh(&name);
    callbacks.saEvtChannelOpenCallback = NULL;
    deliver_only = library_new(1, &callbacks);
    CHECK_AIS(SA_AIS_ERR_INIT, saEvtChannelOpenAsync(without, 1, &name, OPEN_ALL));
    CHECK_AIS(SA_AIS_ERR_INIT, saEvtChannelOpenAsync(deliver_only, 1, &name, OPEN_ALL));
    CHECK_AIS(SA_AIS_ERR_INVALID_PARAM, saEvtChannelOpenAsync(without, 1, NULL, OPEN_ALL));
    CHECK_AIS_REC(SA_AIS_ERR_BAD_FLAGS, saEvtChannelOpenAsync(without, 1, &name, 0));
    /* Before the service is asked: nothing was created. */
    CHECK_AIS(SA_AIS_ERR_NOT_EXIST,
              saEvtChannelOpen(without, &name, OPEN_BOTH, SA_TIME_MAX, &channel));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(without));
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(deliver_only));
}

static void a_missing_channel_is_reported(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = 0;
    SaAisErrorT result;
    name_fresh(&name);
    CHECK_EQ(SA_AIS_ERR_NOT_EXIST, outcome(&name, OPEN_BOTH, &channel));
    result = saEvtChannelOpenAsync(library, 7, &name, OPEN_BOTH);
    CHECK_EQ_REC(SA_AIS_OK, result);
    if (result == SA_AIS_OK)
        await_openings(library, 1);
    log_clear();
}

static void invocations_come_back_unchanged(void)
{
    static const SaInvocationT invocations[] = {
        0, 1, UINT64_MAX, UINT64_C(0x8000000000000001), 1, UINT64_C(0x100000000),
    };
    size_t number = sizeof invocations / sizeof invocations[0];
    unsigned char seen[8] = {0};
    SaNameT name;
    size_t index;
    size_t entry;
    name_fresh(&name);
    for (index = 0; index < number; index++)
        CHECK_AIS(SA_AIS_OK,
                  saEvtChannelOpenAsync(library, invocations[index], &name, OPEN_ALL));
    await_openings(library, number);
    settle(library);
    drain(library);
    CHECK_EQ(number, log_openings());
    for (entry = 0; entry < log_openings(); entry++) {
        struct opening opening = log_opening(entry);
        CHECK_EQ(SA_AIS_OK, opening.error);
        for (index = 0; index < number; index++) {
            if (!seen[index] && invocations[index] == opening.invocation)
                break;
        }
        CHECK(index < number);
        seen[index < 8 ? index : 7] = 1;
        CHECK_AIS(SA_AIS_OK, saEvtChannelClose(opening.channel));
    }
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void the_callback_runs_in_dispatch_only(void)
{
    SaNameT name;
    struct pollfd entry;
    name_fresh(&name);
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(library, 3, &name, OPEN_ALL));
    entry.fd = selection_object(library);
    entry.events = POLLIN;
    CHECK(poll(&entry, 1, -1) == 1);
    settle(library);
    CHECK_EQ(0, log_openings());
    await_openings(library, 1);
    drain(library);
    CHECK_EQ(1, log_openings());
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(log_opening(0).channel));
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

static void the_opened_channel_works(void)
{
    SaNameT name;
    SaEvtChannelHandleT channel = 0;
    SaEvtChannelHandleT listener = 0;
    SaEvtEventHandleT event = 0;
    name_fresh(&name);
    CHECK_EQ(SA_AIS_OK, outcome(&name, OPEN_ALL, &channel));
    CHECK_EQ(SA_AIS_OK, outcome(&name, SA_EVT_CHANNEL_SUBSCRIBER, &listener));
    CHECK(channel != 0 && listener != 0 && channel != listener);
    subscribe_all(listener, 12);
    publish_text(channel, "works", LOWEST, 0);
    EXPECT_TEXTS_OF(library, "works:12");
    CHECK_AIS(SA_AIS_ERR_ACCESS, saEvtEventAllocate(listener, &event));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelClose(listener));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &name));
}

/* The caller's name may go as soon as the function has returned. */
static void the_name_is_copied(void)
{
    SaNameT name;
    SaNameT same;
    SaEvtChannelHandleT channel = 0;
    name_fresh(&name);
    same = name;
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpenAsync(library, 3, &name, OPEN_ALL));
    memset(&name, 0xff, sizeof name);
    await_openings(library, 1);
    CHECK_EQ(SA_AIS_OK, log_opening(0).error);
    log_clear();
    CHECK_AIS(SA_AIS_OK, saEvtChannelOpen(library, &same, OPEN_BOTH, SA_TIME_MAX, &channel));
    CHECK_AIS(SA_AIS_OK, saEvtChannelUnlink(library, &same));
}

int main(int argc, char **argv)
{
    test_begin(argc, argv);
    library = library_recording();
    arguments_are_judged_by_the_function();
    a_name_that_is_no_dn_is_not_created();
    wrong_handles_are_bad();
    without_an_open_callback_it_is_refused();
    a_missing_channel_is_reported();
    invocations_come_back_unchanged();
    the_callback_runs_in_dispatch_only();
    the_opened_channel_works();
    the_name_is_copied();
    CHECK_AIS(SA_AIS_OK, saEvtFinalize(library));
    return test_end();
}
